package osmv.blob;

import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.nio.ByteOrder;
import java.util.zip.CRC32C;

/**
 * The envelope of a document's token vectors, as {@code encoding/codecs/blob.py} writes it; little-endian:
 *
 * <pre>
 * offset  size  content
 * 0       4     magic, "OSMV"
 * 4       1     format version, 1
 * 5       1     codec id
 * 6       2     reserved, 0
 * 8       4     vector count n, unsigned
 * 12      4     dimension d, unsigned
 * 16      ...   payload, as the codec lays it out
 * end-4   4     CRC-32C (Castagnoli) of everything before it
 * </pre>
 *
 * <p>A view, used again from document to document so that none is allocated: not thread-safe.
 */
public final class Blob {
    public static final int HEADER_SIZE = 16;
    public static final int OVERHEAD = HEADER_SIZE + 4;

    private static final int MAGIC = 0x564d534f; // "OSMV"
    private static final int VERSION = 1;
    private static final VarHandle INT = MethodHandles.byteArrayViewVarHandle(int[].class, ByteOrder.LITTLE_ENDIAN);

    private final CRC32C crc = new CRC32C();

    public byte[] bytes;
    public int codecId;
    public int count;
    public int dim;
    /** Where in {@link #bytes} the payload begins, and how long it is. */
    public int payload;

    public int payloadLength;

    /** Check the envelope and take it off; nothing of a blob that is refused may be read. */
    public void open(byte[] source, int offset, int length) throws BlobException {
        if (length < OVERHEAD) {
            throw new BlobException("token vectors are cut: " + length + " bytes, an empty blob has " + OVERHEAD);
        }
        if ((int) INT.get(source, offset) != MAGIC) {
            throw new BlobException("not a token-vector blob: it does not start with OSMV");
        }
        if (source[offset + 4] != VERSION) {
            throw new BlobException(
                "token vectors of format version " + (source[offset + 4] & 0xff) + "; this release reads version " + VERSION
            );
        }
        crc.reset();
        crc.update(source, offset, length - 4);
        if ((int) crc.getValue() != (int) INT.get(source, offset + length - 4)) {
            throw new BlobException("token vectors are cut or altered: CRC-32C does not match");
        }
        int n = (int) INT.get(source, offset + 8);
        int d = (int) INT.get(source, offset + 12);
        if (n < 0 || d <= 0) {
            throw new BlobException(
                "token vectors are inconsistent: " + Integer.toUnsignedString(n) + " x " + Integer.toUnsignedString(d)
            );
        }
        bytes = source;
        codecId = source[offset + 5] & 0xff;
        count = n;
        dim = d;
        payload = offset + HEADER_SIZE;
        payloadLength = length - OVERHEAD;
    }

    /** Put the envelope around a payload. */
    public static byte[] seal(int codecId, int count, int dim, byte[] payload) {
        byte[] sealed = new byte[payload.length + OVERHEAD];
        INT.set(sealed, 0, MAGIC);
        sealed[4] = VERSION;
        sealed[5] = (byte) codecId;
        INT.set(sealed, 8, count);
        INT.set(sealed, 12, dim);
        System.arraycopy(payload, 0, sealed, HEADER_SIZE, payload.length);
        CRC32C crc = new CRC32C();
        crc.update(sealed, 0, sealed.length - 4);
        INT.set(sealed, sealed.length - 4, (int) crc.getValue());
        return sealed;
    }
}
