package osmv.field;

import java.util.Arrays;
import java.util.Base64;
import org.apache.lucene.util.BytesRef;
import org.opensearch.core.common.io.stream.StreamOutput;
import org.opensearch.search.DocValueFormat;
import osmv.blob.Blob;
import osmv.blob.BlobException;
import osmv.codecs.Codecs;

/** How stored token vectors are given back: the blob as it lies, or the vectors within the codec's error. */
enum VectorsFormat implements DocValueFormat {
    BASE64 {
        @Override
        public Object format(BytesRef blob) {
            return Base64.getEncoder().encodeToString(BytesRef.deepCopyOf(blob).bytes);
        }
    },
    FLOATS {
        @Override
        public Object format(BytesRef bytes) {
            Blob blob = new Blob();
            try {
                blob.open(bytes.bytes, bytes.offset, bytes.length);
                return Arrays.asList((Object[]) Codecs.decode(blob));
            } catch (BlobException e) {
                throw new IllegalStateException("stored token vectors can't be read: " + e.getMessage(), e);
            }
        }
    };

    /** The format that a request names, or {@code other} where it names none. */
    static VectorsFormat named(String format, VectorsFormat other, String field) {
        return switch (format) {
            case null -> other;
            case "base64" -> BASE64;
            case "floats" -> FLOATS;
            default -> throw new IllegalArgumentException(
                "[" + field + "]: unknown format [" + format + "]: choose one of base64, floats"
            );
        };
    }

    @Override
    public String getWriteableName() {
        return "token_vectors_" + this;
    }

    @Override
    public void writeTo(StreamOutput out) {}
}
