package osmv.query;

import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Base64;
import java.util.List;
import java.util.regex.Pattern;
import org.opensearch.core.common.ParsingException;
import org.opensearch.core.common.io.stream.StreamInput;
import org.opensearch.core.common.io.stream.StreamOutput;
import org.opensearch.core.xcontent.XContentBuilder;
import org.opensearch.core.xcontent.XContentParser;
import org.opensearch.core.xcontent.XContentParser.Token;
import org.opensearch.index.mapper.MappedFieldType;
import org.opensearch.index.query.QueryShardContext;
import osmv.blob.Blob;
import osmv.blob.BlobException;
import osmv.codecs.Codecs;
import osmv.maxsim.QueryVectors;
import osmv.maxsim.Scoring;

/** What the query and the rescorer have in common in a request: field, query vectors, weights, score and codebook. */
final class QueryContent {
    private static final Pattern CODEBOOK = Pattern.compile("[0-9a-f]{16}");

    private final int maxVectors;
    private String field;
    private float[][] vectors;
    private float[] weights;
    private String score = Scoring.SUM_MAX.toString();
    private NamedCodebook codebook = NamedCodebook.NONE;

    QueryContent(int maxVectors) {
        this.maxVectors = maxVectors;
    }

    /** Take the value that the parser stands at, if the key is one of ours. */
    boolean read(String key, XContentParser parser) throws IOException {
        switch (key) {
            case "field" -> field = string(key, parser);
            case "query_vectors" -> {
                vectors = parser.currentToken() == Token.START_ARRAY ? matrix(key, parser) : blob(key, parser);
            }
            case "weights" -> {
                expect(Token.START_ARRAY, "an array of numbers, one for each query vector", key, parser);
                weights = floats(key, parser, maxVectors);
            }
            case "score" -> score = string(key, parser);
            case "codebook" -> codebook = codebook(key, parser);
            default -> {
                return false;
            }
        }
        return true;
    }

    String field(XContentParser parser) {
        return required("field", field, parser);
    }

    QueryVectors query(XContentParser parser) {
        try {
            return new QueryVectors(required("query_vectors", vectors, parser), weights, Scoring.named(score));
        } catch (IllegalArgumentException e) {
            throw new ParsingException(parser.getTokenLocation(), "[maxsim] " + e.getMessage(), e);
        }
    }

    NamedCodebook codebook() {
        return codebook;
    }

    private static NamedCodebook codebook(String key, XContentParser parser) throws IOException {
        String id = string(key, parser);
        if (!CODEBOOK.matcher(id).matches()) {
            String sentence = "[maxsim] [" + key + "] is [" + id + "]: it must be the 16 hex digits that a codebook is known by";
            throw new ParsingException(parser.getTokenLocation(), sentence);
        }
        return new NamedCodebook(id);
    }

    static <T> T required(String key, T value, XContentParser parser) {
        if (value == null) {
            throw new ParsingException(parser.getTokenLocation(), "[maxsim] needs [" + key + "]");
        }
        return value;
    }

    static String string(String key, XContentParser parser) throws IOException {
        expect(Token.VALUE_STRING, "a string", key, parser);
        return parser.text();
    }

    static double number(String key, XContentParser parser) throws IOException {
        expect(Token.VALUE_NUMBER, "a number", key, parser);
        return parser.doubleValue();
    }

    static void expect(Token token, String what, String key, XContentParser parser) {
        if (parser.currentToken() != token) {
            throw new ParsingException(
                parser.getTokenLocation(),
                "[maxsim] [" + key + "] must be " + what + ", here stands " + parser.currentToken()
            );
        }
    }

    static ParsingException unknown(String key, XContentParser parser) {
        return new ParsingException(parser.getTokenLocation(), "[maxsim] does not know [" + key + "]");
    }

    private float[][] matrix(String key, XContentParser parser) throws IOException {
        List<float[]> rows = new ArrayList<>();
        while (parser.nextToken() != Token.END_ARRAY) {
            expect(Token.START_ARRAY, "an array of arrays of numbers, or base64", key, parser);
            checkCount(rows.size() + 1, parser);
            rows.add(floats(key, parser, Integer.MAX_VALUE));
        }
        return rows.toArray(float[][]::new);
    }

    private float[] floats(String key, XContentParser parser, int max) throws IOException {
        float[] floats = new float[128];
        int n = 0;
        while (parser.nextToken() != Token.END_ARRAY) {
            expect(Token.VALUE_NUMBER, "made of numbers", key, parser);
            if (n == max) {
                throw new ParsingException(parser.getTokenLocation(), "[maxsim] [" + key + "] has more than " + max + " numbers");
            }
            if (n == floats.length) {
                floats = Arrays.copyOf(floats, 2 * n);
            }
            floats[n++] = parser.floatValue();
        }
        return Arrays.copyOf(floats, n);
    }

    /** Text in JSON, bytes in the binary formats. */
    private float[][] blob(String key, XContentParser parser) throws IOException {
        byte[] bytes;
        if (parser.currentToken() == Token.VALUE_EMBEDDED_OBJECT) {
            bytes = parser.binaryValue();
        } else {
            expect(Token.VALUE_STRING, "an array of arrays of numbers, or base64", key, parser);
            try {
                bytes = Base64.getDecoder().decode(parser.text());
            } catch (IllegalArgumentException e) {
                throw new ParsingException(parser.getTokenLocation(), "[maxsim] [" + key + "] is not base64", e);
            }
        }
        try {
            Blob blob = new Blob();
            blob.open(bytes, 0, bytes.length);
            checkCount(blob.count, parser);
            return Codecs.decode(blob);
        } catch (BlobException e) {
            throw new ParsingException(parser.getTokenLocation(), "[maxsim] [" + key + "]: " + e.getMessage(), e);
        }
    }

    private void checkCount(int count, XContentParser parser) {
        if (count > maxVectors) {
            throw new ParsingException(
                parser.getTokenLocation(),
                "[maxsim] [query_vectors] has more than " + maxVectors + " vectors, the most that ["
                    + Searches.MAX_QUERY_VECTORS.getKey() + "] allows"
            );
        }
    }

    /** Vectors as a blob of plain floats: shorter than numbers in text, and exact. */
    static void toXContent(XContentBuilder builder, String field, QueryVectors query, NamedCodebook codebook)
        throws IOException {
        float[] flat = new float[query.count() * query.dim()];
        for (int i = 0; i < query.count(); i++) {
            System.arraycopy(query.vectors()[i], 0, flat, i * query.dim(), query.dim());
        }
        builder.field("field", field);
        builder.field("query_vectors", Codecs.seal(Codecs.named("f32"), flat, query.count(), query.dim()));
        builder.array("weights", query.weights());
        builder.field("score", query.scoring().toString());
        if (codebook.id != null) {
            builder.field("codebook", codebook.id);
        }
    }

    static void write(StreamOutput out, QueryVectors query) throws IOException {
        out.writeVInt(query.count());
        for (float[] vector : query.vectors()) {
            out.writeFloatArray(vector);
        }
        out.writeFloatArray(query.weights());
        out.writeString(query.scoring().toString());
    }

    static QueryVectors read(StreamInput in) throws IOException {
        float[][] vectors = new float[in.readVInt()][];
        for (int i = 0; i < vectors.length; i++) {
            vectors[i] = in.readFloatArray();
        }
        return new QueryVectors(vectors, in.readFloatArray(), Scoring.named(in.readString()));
    }

    /** The field's name in Lucene; null where the index has no such field. */
    static String resolve(String field, QueryShardContext context) {
        MappedFieldType type = context.fieldMapper(field);
        if (type == null) {
            return null;
        }
        boolean vectors = type.typeName().equals("token_vectors") || type.typeName().equals("binary") && type.hasDocValues();
        if (!vectors) {
            throw new IllegalArgumentException(
                "[maxsim] can't read field [" + field + "] of type [" + type.typeName() + "]"
                    + (type.hasDocValues() ? "" : " without doc_values")
                    + ": it takes [token_vectors], or [binary] with \"doc_values\": true"
            );
        }
        return type.name();
    }
}
