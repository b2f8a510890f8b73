package osmv.codecs;

import osmv.blob.Blob;
import osmv.blob.BlobException;
import osmv.kernels.Kernel;

/**
 * How token vectors lie in a blob's payload; the formats are those of {@code encoding/codecs/*.py}, where each is derived.
 *
 * <p>A stored vector x is read as {@code scale * u + offset}, u unpacked to floats, so that an inner product with a query
 * vector q is {@code scale * (q . u) + offset * sum(q)}: nothing is scaled component by component.
 */
public abstract class StoredCodec {
    public final int id;
    public final String name;

    StoredCodec(int id, String name) {
        this.id = id;
        this.name = name;
    }

    /** Bytes of the payload of {@code count} vectors. */
    public abstract long payloadSize(int count, int dim);

    /** The payload of {@code count} finite vectors that lie in {@code vectors} one after the other. */
    public abstract byte[] encode(float[] vectors, int count, int dim);

    /** u of the vectors {@code first} to {@code first + n - 1}, one after the other, to the beginning of {@code into}. */
    public abstract void unpack(Kernel kernel, Blob blob, int first, int n, float[] into);

    public float scale(Blob blob, int vector) {
        return 1;
    }

    public float offset(Blob blob, int vector) {
        return 0;
    }

    /** What a query vector has to go through before it meets u: nothing, or the codec's rotation. */
    public float[] query(float[] vector) {
        return vector;
    }

    /** A stored vector from what {@link #unpack} gave of it, in place. */
    public void restore(float[] vector) {}

    /** That the payload is what such a blob has: at least its length is. */
    public void check(Blob blob) throws BlobException {
        long size = payloadSize(blob.count, blob.dim);
        if (blob.payloadLength != size) {
            throw new BlobException(
                "token vectors are inconsistent: " + blob.count + " x " + blob.dim + " in " + name + " are " + size
                    + " bytes, the blob holds " + blob.payloadLength
            );
        }
    }
}
