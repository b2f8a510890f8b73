package osmv.codecs;

import java.util.concurrent.ConcurrentHashMap;
import osmv.blob.Blob;
import osmv.kernels.Kernel;

/**
 * {@code bit}: the signs s of a rotated vector and factor = |x| / (s . xR), so that q . x ~ factor * (s . qR) (RaBitQ, Gao
 * and Long 2024, section 3; {@code encoding/codecs/bit.py}).
 *
 * <p>Payload: n factors (f32), n rows of ceil(d / 8) bytes, the first component in the lowest bit, 1 for +1.
 */
public final class Bit extends StoredCodec {
    private static final ConcurrentHashMap<Integer, Rotation> ROTATIONS = new ConcurrentHashMap<>();

    Bit() {
        super(5, "bit");
    }

    private static int width(int dim) {
        return (dim + 7) / 8;
    }

    private static int bits(Blob blob, int vector) {
        return blob.payload + 4 * blob.count + vector * width(blob.dim);
    }

    /** The bits of all vectors as words of 32, each vector's padded with zeros to {@code words} of them. */
    public void words(Kernel kernel, Blob blob, int words, int[] into) {
        if (blob.dim == 32 * words) {
            kernel.ints(blob.bytes, bits(blob, 0), blob.count * words, into);
            return;
        }
        int filled = (blob.dim + 31) / 32;
        int last = blob.dim % 32 == 0 ? -1 : (1 << blob.dim % 32) - 1;
        for (int j = 0; j < blob.count; j++) {
            int at = bits(blob, j);
            int to = j * words;
            // The last word may reach into what follows, at most into the blob's checksum: that is masked away.
            for (int w = 0; w < filled; w++) {
                into[to + w] = LittleEndian.getInt(blob.bytes, at + 4 * w);
            }
            into[to + filled - 1] &= last;
            for (int w = filled; w < words; w++) {
                into[to + w] = 0;
            }
        }
    }

    @Override
    public long payloadSize(int count, int dim) {
        return (4L + width(dim)) * count;
    }

    @Override
    public byte[] encode(float[] vectors, int count, int dim) {
        byte[] payload = new byte[Math.toIntExact(payloadSize(count, dim))];
        for (int j = 0; j < count; j++) {
            double norm = 0;
            for (int k = 0; k < dim; k++) {
                norm += (double) vectors[j * dim + k] * vectors[j * dim + k];
            }
            norm = Math.sqrt(norm);
            if (norm > Float.MAX_VALUE) {
                throw new IllegalArgumentException("vector " + j + " has a norm beyond 32-bit floats: use codec f32 or int8");
            }
            float[] unit = new float[dim];
            for (int k = 0; k < dim; k++) {
                unit[k] = (float) (vectors[j * dim + k] / (norm > 0 ? norm : 1));
            }
            float[] rotated = query(unit);
            double absolute = 0;
            for (int k = 0; k < dim; k++) {
                absolute += Math.abs((double) rotated[k]);
                if (rotated[k] > 0) {
                    payload[4 * count + j * width(dim) + k / 8] |= (byte) (1 << k % 8);
                }
            }
            LittleEndian.putFloat(payload, 4 * j, absolute > 0 ? (float) (norm / absolute) : 0);
        }
        return payload;
    }

    @Override
    public void unpack(Kernel kernel, Blob blob, int first, int n, float[] into) {
        for (int j = 0; j < n; j++) {
            int bits = bits(blob, first + j);
            for (int k = 0; k < blob.dim; k++) {
                into[j * blob.dim + k] = (blob.bytes[bits + k / 8] >> k % 8 & 1) == 1 ? 1 : -1;
            }
        }
    }

    public void factors(Kernel kernel, Blob blob, float[] into) {
        kernel.floats(blob.bytes, blob.payload, blob.count, into);
    }

    @Override
    public float scale(Blob blob, int vector) {
        return LittleEndian.getFloat(blob.bytes, blob.payload + 4 * vector);
    }

    @Override
    public float[] query(float[] vector) {
        return rotation(vector.length).rotate(vector);
    }

    @Override
    public void restore(float[] vector) {
        System.arraycopy(rotation(vector.length).back(vector), 0, vector, 0, vector.length);
    }

    private static Rotation rotation(int dim) {
        return ROTATIONS.computeIfAbsent(dim, Rotation::new);
    }
}
