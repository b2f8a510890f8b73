package osmv.kernels;

import java.util.Arrays;

/**
 * A query's vectors as {@link Kernel#signs} reads them: every component in {@link #PLANES} bits, each bit a plane of its
 * own, so that their product with signs is a few XORs and population counts (as RaBitQ, section 3.3, where the planes are 0
 * and 1).
 *
 * <p>With planes c_p in {-1, +1}**d, a component is read as delta / 2 * (sum over p of 2**p c_p), an odd multiple of delta / 2,
 * delta = 2 max |q_k| / (2**PLANES - 1), and is off by delta / 2 at most. The product of two sign vectors is d - 2 (number of
 * differing bits), so
 *
 * <pre>
 * s . q = delta / 2 * (2**PLANES - 1) * d  -  delta * sum over p of 2**p differing(s, c_p)
 * </pre>
 *
 * At 128 dimensions this moves an estimate by about .012 |q| |x| (standard deviation), where the signs' own error is .067.
 */
public final class BitTable {
    public static final int PLANES = 4;

    /** A token's words are padded with zeros to a multiple of this. */
    static final int CHUNK = 4;

    private static final int LEVELS = (1 << PLANES) - 1;

    final int count;
    final int size;
    /** Words of 32 bits that a token's signs are padded to. */
    final int words;

    /** Word w of plane p of the vectors of lane block b: from ((b * words + w) * PLANES + p) * lanes on. */
    final int[] planes;
    /** -delta, and the first term above. */
    final float[] minusDelta;

    final float[] most;
    private final float[][] rows;

    public BitTable(float[][] vectors, int lanes) {
        int dim = vectors[0].length;
        count = vectors.length;
        size = (count + lanes - 1) / lanes * lanes;
        words = (dim + 32 * CHUNK - 1) / (32 * CHUNK) * CHUNK;
        planes = new int[size * words * PLANES];
        minusDelta = new float[size];
        most = new float[size];
        rows = new float[count][dim];
        for (int i = 0; i < count; i++) {
            quantise(vectors[i], i, lanes);
        }
    }

    private void quantise(float[] vector, int i, int lanes) {
        float greatest = 0;
        for (float component : vector) {
            greatest = Math.max(greatest, Math.abs(component));
        }
        float delta = 2 * greatest / LEVELS;
        minusDelta[i] = -delta;
        most[i] = greatest * vector.length;
        for (int k = 0; k < vector.length; k++) {
            int code = delta > 0 ? Math.clamp((int) Math.floor((vector[k] + greatest) / delta + 0.5), 0, LEVELS) : 0;
            rows[i][k] = delta * code - greatest;
            for (int p = 0; p < PLANES; p++) {
                planes[((i / lanes * words + k / 32) * PLANES + p) * lanes + i % lanes] |= (code >> p & 1) << k % 32;
            }
        }
    }

    /** The query vectors as they are read, for whoever computes in floats what the planes stand for. */
    public float[][] rows() {
        return rows;
    }

    /** Words of 32 bits that a token's signs are padded to. */
    public int words() {
        return words;
    }

    /** Best similarities before any document token was seen. */
    public void clear(float[] best) {
        Arrays.fill(best, 0, size, Float.NEGATIVE_INFINITY);
    }
}
