package osmv.field;

import org.apache.lucene.document.BinaryDocValuesField;
import org.apache.lucene.store.ByteArrayDataInput;
import org.apache.lucene.util.BytesRef;

/**
 * A document's blob as doc value, laid out as OpenSearch's {@code binary} field does it, so that queries read both alike: the
 * number of values, 1, then the value's length and its bytes, both numbers as vints.
 */
final class TokenVectorsField extends BinaryDocValuesField {
    TokenVectorsField(String name, byte[] blob) {
        super(name, layOut(blob));
    }

    /** The blob in a doc value. */
    static BytesRef blob(BytesRef value) {
        ByteArrayDataInput in = new ByteArrayDataInput(value.bytes, value.offset, value.length);
        in.readVInt();
        int length = in.readVInt();
        return new BytesRef(value.bytes, in.getPosition(), length);
    }

    private static BytesRef layOut(byte[] blob) {
        byte[] head = new byte[6];
        int at = 0;
        head[at++] = 1;
        int rest = blob.length;
        for (; rest >= 0x80; rest >>>= 7) {
            head[at++] = (byte) (rest | 0x80);
        }
        head[at++] = (byte) rest;
        byte[] value = new byte[at + blob.length];
        System.arraycopy(head, 0, value, 0, at);
        System.arraycopy(blob, 0, value, at, blob.length);
        return new BytesRef(value);
    }
}
