package osmv.field;

import java.io.IOException;
import java.util.List;
import java.util.Map;
import java.util.function.IntSupplier;
import org.apache.lucene.index.BinaryDocValues;
import org.apache.lucene.index.DocValues;
import org.apache.lucene.index.LeafReader;
import org.opensearch.common.settings.Setting;
import org.opensearch.index.mapper.DerivedFieldGenerator;
import org.opensearch.index.mapper.FieldValueFetcher;
import org.opensearch.index.mapper.Mapper;
import org.opensearch.index.mapper.MapperParsingException;
import org.opensearch.index.mapper.ParametrizedFieldMapper;
import org.opensearch.index.mapper.ParseContext;
import osmv.codecs.Codecs;
import osmv.codecs.StoredCodec;

/**
 * The field type {@code token_vectors}: a document's token vectors, encoded while it is parsed and stored as one blob in doc
 * values.
 *
 * <pre>
 * "tv": {"type": "token_vectors", "dimension": 128, "codec": "int8"}
 * </pre>
 */
public final class TokenVectorsFieldMapper extends ParametrizedFieldMapper {
    /** How many vectors a document may have. */
    public static final Setting<Integer> MAX_VECTORS = Setting.intSetting(
        "plugins.multivector.max_document_vectors",
        16384,
        1,
        65536,
        Setting.Property.NodeScope,
        Setting.Property.Dynamic
    );
    private static final int MAX_DIMENSION = 4096;

    private final int dimension;
    private final StoredCodec codec;
    private final IntSupplier maxVectors;

    private TokenVectorsFieldMapper(String simpleName, TokenVectorsFieldType type, StoredCodec codec, IntSupplier maxVectors) {
        super(simpleName, type, MultiFields.empty(), CopyTo.empty());
        this.dimension = type.dimension;
        this.codec = codec;
        this.maxVectors = maxVectors;
    }

    /** Parses the field's mapping; {@code maxVectors} is asked at every document how many vectors it may have. */
    public static Mapper.TypeParser parser(IntSupplier maxVectors) {
        return new TypeParser((name, context) -> {
            if (context.isWithinMultiField()) {
                throw new MapperParsingException("[" + name + "]: token_vectors can't be a multi-field of another field");
            }
            return new Builder(name, maxVectors);
        });
    }

    /** The field's parameters. */
    private static final class Builder extends ParametrizedFieldMapper.Builder {
        private final IntSupplier maxVectors;
        private final Parameter<Integer> dimension = new Parameter<>(
            "dimension",
            false,
            () -> null,
            (name, context, value) -> dimension(value),
            mapper -> ((TokenVectorsFieldMapper) mapper).dimension
        ).setValidator(this::checkDimension).alwaysSerialize();
        private final Parameter<String> codec = Parameter.stringParam(
            "codec",
            false,
            mapper -> ((TokenVectorsFieldMapper) mapper).codec.name,
            "int8"
        ).setValidator(Codecs::named);
        private final Parameter<Map<String, String>> meta = Parameter.metaParam();

        Builder(String name, IntSupplier maxVectors) {
            super(name);
            this.maxVectors = maxVectors;
        }

        @Override
        protected List<Parameter<?>> getParameters() {
            return List.of(dimension, codec, meta);
        }

        @Override
        public TokenVectorsFieldMapper build(BuilderContext context) {
            boolean multiFields = multiFieldsBuilder.build(this, context).iterator().hasNext();
            if (multiFields || copyTo.build().copyToFields().isEmpty() == false) {
                throw new MapperParsingException("[" + name + "]: token_vectors takes neither [fields] nor [copy_to]");
            }
            TokenVectorsFieldType type = new TokenVectorsFieldType(buildFullName(context), dimension.get(), meta.get());
            return new TokenVectorsFieldMapper(name, type, Codecs.named(codec.get()), maxVectors);
        }

        private static Integer dimension(Object value) {
            try {
                return Integer.valueOf(value.toString());
            } catch (NumberFormatException e) {
                return -1;
            }
        }

        private void checkDimension(Integer value) {
            if (value == null || value < 1 || value > MAX_DIMENSION) {
                throw new MapperParsingException(
                    "[" + name + "]: token_vectors needs [dimension], a whole number from 1 to " + MAX_DIMENSION
                );
            }
        }
    }

    @Override
    public boolean parsesArrayValue() {
        return true;
    }

    /** Without a preview of the value, which may be long, and without ignore_malformed, which would leave half a value unread. */
    @Override
    public void parse(ParseContext context) throws IOException {
        parseCreateField(context);
    }

    @Override
    protected void parseCreateField(ParseContext context) throws IOException {
        try {
            if (context.isWithinCopyTo()) {
                throw new IllegalArgumentException("token vectors can't be copied from another field by copy_to");
            }
            byte[] blob = new VectorsReader(context.parser(), codec, dimension, maxVectors.getAsInt()).read();
            if (blob == null) {
                return;
            }
            if (context.doc().getByKey(name()) != null) {
                throw new IllegalArgumentException(
                    "the document has several values: put all its vectors into one array, or the objects into a nested field"
                );
            }
            context.doc().addWithKey(name(), new TokenVectorsField(name(), blob));
        } catch (IllegalArgumentException e) {
            throw new MapperParsingException("[" + name() + "]: " + e.getMessage(), e);
        }
    }

    @Override
    protected void canDeriveSourceInternal() {}

    /** A derived source has the blob's base64: what is written again from it, as by a recovery, is the same to the bit. */
    @Override
    protected DerivedFieldGenerator derivedFieldGenerator() {
        FieldValueFetcher fetcher = new FieldValueFetcher(simpleName()) {
            @Override
            public List<Object> fetch(LeafReader reader, int document) throws IOException {
                BinaryDocValues values = DocValues.getBinary(reader, name());
                return values.advanceExact(document)
                    ? List.of(VectorsFormat.BASE64.format(TokenVectorsField.blob(values.binaryValue())))
                    : List.of();
            }
        };
        return new DerivedFieldGenerator(fieldType(), fetcher, null);
    }

    @Override
    public ParametrizedFieldMapper.Builder getMergeBuilder() {
        return new Builder(simpleName(), maxVectors).init(this);
    }

    @Override
    protected String contentType() {
        return TokenVectorsFieldType.TYPE;
    }
}
