package osmv.field;

import java.io.IOException;
import org.apache.lucene.util.ArrayUtil;
import org.opensearch.core.xcontent.XContentParser;
import org.opensearch.core.xcontent.XContentParser.Token;
import osmv.blob.Blob;
import osmv.blob.BlobException;
import osmv.codecs.Codecs;
import osmv.codecs.StoredCodec;
import osmv.kernels.Kernels;

/**
 * A field's value in a document to the blob that is stored. Numbers go from the parser straight into one float array, and
 * reading stops at the first thing that is wrong. Vectors and components are counted from 0.
 */
final class VectorsReader {
    private final XContentParser parser;
    private final StoredCodec codec;
    private final int dimension;
    private final int maxVectors;

    VectorsReader(XContentParser parser, StoredCodec codec, int dimension, int maxVectors) {
        this.parser = parser;
        this.codec = codec;
        this.dimension = dimension;
        this.maxVectors = maxVectors;
    }

    /** The blob, null where the document has no value; an IllegalArgumentException says what is wrong with the value. */
    byte[] read() throws IOException {
        return switch (parser.currentToken()) {
            case VALUE_NULL -> null;
            case START_ARRAY -> vectors();
            case VALUE_STRING, VALUE_EMBEDDED_OBJECT -> blob();
            default -> throw new IllegalArgumentException(
                "token vectors are an array of arrays of numbers or the base64 of a blob, not " + found()
            );
        };
    }

    private byte[] vectors() throws IOException {
        float[] flat = new float[0];
        int count = 0;
        for (Token token = parser.nextToken(); token != Token.END_ARRAY; token = parser.nextToken()) {
            if (token != Token.START_ARRAY) {
                throw new IllegalArgumentException("vector " + count + " is " + found() + ", not an array of numbers");
            }
            checkCount(count + 1);
            flat = ArrayUtil.grow(flat, (count + 1) * dimension);
            vector(flat, count);
            count++;
        }
        return Codecs.seal(codec, flat, count, dimension);
    }

    private void vector(float[] flat, int number) throws IOException {
        int size = 0;
        for (Token token = parser.nextToken(); token != Token.END_ARRAY; token = parser.nextToken()) {
            if (size == dimension) {
                throw new IllegalArgumentException(
                    "vector " + number + " has more than " + dimension + " dimensions, the field has " + dimension
                );
            }
            if (token != Token.VALUE_NUMBER) {
                throw new IllegalArgumentException(place(number, size) + " is " + found() + ", not a number");
            }
            float component = parser.floatValue();
            if (Float.isFinite(component) == false) {
                throw new IllegalArgumentException(place(number, size) + " is " + excerpt() + ", not a finite 32-bit float");
            }
            flat[number * dimension + size++] = component;
        }
        if (size < dimension) {
            throw new IllegalArgumentException(
                "vector " + number + " has " + size + " dimensions, the field has " + dimension
            );
        }
    }

    private byte[] blob() throws IOException {
        if (parser.currentToken() == Token.VALUE_STRING && StoredSource.STAND_IN.equals(parser.text())) {
            throw new IllegalArgumentException(
                "the vectors of this document lie in doc values and not in the _source that it was read from, so that writing"
                    + " it again would lose them: send the vectors too, or use an index with index.derived_source.enabled"
            );
        }
        byte[] bytes;
        try {
            bytes = parser.binaryValue();
        } catch (IOException | IllegalArgumentException e) {
            throw new IllegalArgumentException("the string " + excerpt() + " is not the base64 of a blob", e);
        }
        Blob blob = new Blob();
        try {
            blob.open(bytes, 0, bytes.length);
            checkStored(blob);
        } catch (BlobException e) {
            throw new IllegalArgumentException(e.getMessage(), e);
        }
        return bytes;
    }

    private void checkStored(Blob blob) throws BlobException {
        StoredCodec stored = Codecs.of(blob);
        if (blob.dim != dimension) {
            throw new IllegalArgumentException("the blob has " + blob.dim + " dimensions, the field has " + dimension);
        }
        checkCount(blob.count);
        float[] vector = new float[dimension];
        for (int j = 0; j < blob.count; j++) {
            stored.unpack(Kernels.portable(), blob, j, 1, vector);
            // NaN and infinity stay in a sum, whatever comes after; 0 times a finite number is 0.
            float finite = 0 * stored.scale(blob, j) + 0 * stored.offset(blob, j);
            for (float component : vector) {
                finite += 0 * component;
            }
            if (finite != 0) {
                throw new IllegalArgumentException("vector " + j + " of the blob holds NaN or infinity");
            }
        }
    }

    private void checkCount(int count) {
        if (count > maxVectors) {
            throw new IllegalArgumentException(
                "a document may have at most " + maxVectors + " vectors, by the setting "
                    + TokenVectorsFieldMapper.MAX_VECTORS.getKey()
            );
        }
    }

    private static String place(int vector, int component) {
        return "vector " + vector + ", component " + component;
    }

    /** What stands where something else should, for a message. */
    private String found() throws IOException {
        return switch (parser.currentToken()) {
            case START_OBJECT -> "an object";
            case START_ARRAY -> "an array";
            case VALUE_NULL -> "null";
            case VALUE_STRING -> "the string " + excerpt();
            case VALUE_NUMBER -> "the number " + excerpt();
            case VALUE_BOOLEAN -> "the boolean " + excerpt();
            default -> parser.currentToken().toString();
        };
    }

    private String excerpt() throws IOException {
        String text = parser.text();
        String cut = text.length() <= 40 ? text : text.substring(0, 40) + "...";
        return parser.currentToken() == Token.VALUE_STRING ? '"' + cut + '"' : cut;
    }
}
