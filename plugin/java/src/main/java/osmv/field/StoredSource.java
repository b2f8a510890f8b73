package osmv.field;

import java.io.IOException;
import java.util.HashSet;
import java.util.Map;
import java.util.Set;
import org.apache.lucene.document.NumericDocValuesField;
import org.apache.lucene.document.StoredField;
import org.apache.lucene.index.IndexableField;
import org.apache.lucene.search.Query;
import org.apache.lucene.util.BytesRef;
import org.opensearch.common.io.stream.BytesStreamOutput;
import org.opensearch.common.xcontent.LoggingDeprecationHandler;
import org.opensearch.common.xcontent.XContentHelper;
import org.opensearch.core.common.bytes.BytesArray;
import org.opensearch.core.common.bytes.BytesReference;
import org.opensearch.core.xcontent.MediaType;
import org.opensearch.core.xcontent.MediaTypeRegistry;
import org.opensearch.core.xcontent.NamedXContentRegistry;
import org.opensearch.core.xcontent.XContentBuilder;
import org.opensearch.core.xcontent.XContentParser;
import org.opensearch.core.xcontent.XContentParser.Token;
import org.opensearch.index.mapper.MappedFieldType;
import org.opensearch.index.mapper.MetadataFieldMapper;
import org.opensearch.index.mapper.ParseContext;
import org.opensearch.index.mapper.SourceFieldMapper;
import org.opensearch.index.mapper.TextSearchInfo;
import org.opensearch.index.mapper.ValueFetcher;
import org.opensearch.index.query.QueryShardContext;
import org.opensearch.index.query.QueryShardException;
import org.opensearch.search.lookup.SearchLookup;

/**
 * Keeps token vectors out of the stored {@code _source}: a few times as large there, as text, as the blob in doc values that is
 * made of them. {@link #STAND_IN} takes their place, and the field refuses it as a value, so that an update or a reindex from
 * such a source fails with a reason instead of losing vectors.
 *
 * <p>It is a metadata field since these see a document after its fields are parsed. As {@link SourceFieldMapper} does where it
 * leaves something out, the whole source goes into {@code _recovery_source}, which replicas recover from and merges drop as soon
 * as none needs it. Nothing is done where there is no stored {@code _source}: disabled, or derived from doc values.
 */
public final class StoredSource extends MetadataFieldMapper {
    public static final String NAME = "_token_vectors";
    public static final TypeParser PARSER = new FixedTypeParser(context -> new StoredSource());
    /** Not base64. */
    static final String STAND_IN = "<doc values>";

    private StoredSource() {
        super(new Type());
    }

    @Override
    public void postParse(ParseContext context) throws IOException {
        Set<String> fields = fieldsWithVectors(context);
        IndexableField stored = fields.isEmpty() ? null : context.rootDoc().getField(SourceFieldMapper.NAME);
        if (stored == null) {
            return;
        }
        MediaType mediaType = context.sourceToParse().getMediaType();
        ((StoredField) stored).setBytesValue(without(fields, new BytesArray(stored.binaryValue()), mediaType).toBytesRef());
        if (context.rootDoc().getField(SourceFieldMapper.RECOVERY_SOURCE_NAME) == null) {
            BytesRef whole = context.sourceToParse().source().toBytesRef();
            context.rootDoc().add(new StoredField(SourceFieldMapper.RECOVERY_SOURCE_NAME, whole));
            context.rootDoc().add(new NumericDocValuesField(SourceFieldMapper.RECOVERY_SOURCE_NAME, 1));
        }
    }

    private static Set<String> fieldsWithVectors(ParseContext context) {
        Set<String> fields = new HashSet<>();
        for (ParseContext.Document document : context) {
            for (IndexableField field : document) {
                if (field instanceof TokenVectorsField) {
                    fields.add(field.name());
                }
            }
        }
        return fields;
    }

    /** The source with the stand-in for what these fields hold, copied token by token. */
    static BytesReference without(Set<String> fields, BytesReference source, MediaType mediaType) throws IOException {
        BytesStreamOutput copy = new BytesStreamOutput();
        try (
            XContentParser parser = XContentHelper.createParser(
                NamedXContentRegistry.EMPTY,
                LoggingDeprecationHandler.INSTANCE,
                source,
                mediaType
            );
            XContentBuilder builder = MediaTypeRegistry.contentBuilder(mediaType, copy)
        ) {
            parser.nextToken();
            copyObject(fields, "", parser, builder);
        }
        return copy.bytes();
    }

    private static void copyObject(Set<String> fields, String prefix, XContentParser parser, XContentBuilder builder)
        throws IOException {
        builder.startObject();
        while (parser.nextToken() != Token.END_OBJECT) {
            builder.field(parser.currentName());
            String path = prefix + parser.currentName();
            parser.nextToken();
            copyValue(fields, path, parser, builder);
        }
        builder.endObject();
    }

    private static void copyValue(Set<String> fields, String path, XContentParser parser, XContentBuilder builder)
        throws IOException {
        Token token = parser.currentToken();
        if (fields.contains(path) && token != Token.VALUE_NULL) {
            parser.skipChildren();
            builder.value(STAND_IN);
        } else if (token == Token.START_OBJECT && fields.stream().anyMatch(field -> field.startsWith(path + "."))) {
            copyObject(fields, path + ".", parser, builder);
        } else if (token == Token.START_ARRAY && fields.stream().anyMatch(field -> field.startsWith(path + "."))) {
            builder.startArray();
            while (parser.nextToken() != Token.END_ARRAY) {
                copyValue(fields, path, parser, builder);
            }
            builder.endArray();
        } else {
            builder.copyCurrentStructure(parser);
        }
    }

    @Override
    protected String contentType() {
        return NAME;
    }

    private static final class Type extends MappedFieldType {
        private Type() {
            super(NAME, false, false, false, TextSearchInfo.NONE, Map.of());
        }

        @Override
        public String typeName() {
            return NAME;
        }

        @Override
        public ValueFetcher valueFetcher(QueryShardContext context, SearchLookup lookup, String format) {
            throw new UnsupportedOperationException("[" + NAME + "] has no values");
        }

        @Override
        public Query existsQuery(QueryShardContext context) {
            throw new QueryShardException(context, "[" + NAME + "] can't be searched");
        }

        @Override
        public Query termQuery(Object value, QueryShardContext context) {
            throw new QueryShardException(context, "[" + NAME + "] can't be searched");
        }
    }
}
