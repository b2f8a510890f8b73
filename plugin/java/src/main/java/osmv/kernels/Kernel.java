package osmv.kernels;

/**
 * The innermost loops. Arrays in, arrays out; no state, so one kernel serves all threads.
 *
 * <p>Query vectors lie in a table with the lanes over them ({@link #table}), so that a document's component is broadcast and
 * meets a vector of query tokens at once: what a document token and a query token have in common is never summed across
 * lanes, and the best similarity of each query token stays in its lane to the end.
 */
public abstract class Kernel {
    /** Document tokens in one tile. With two vectors of query tokens they fill twelve accumulators. */
    public static final int TILE = 6;

    /** As shown to operators. */
    public abstract String name();

    /** Query vectors are padded with zeros to a multiple of this. */
    public abstract int lanes();

    /** Little-endian floats to floats, {@code n} of them to the beginning of {@code into}. */
    public abstract void floats(byte[] bytes, int at, int n, float[] into);

    /** The same with ints. */
    public abstract void ints(byte[] bytes, int at, int n, int[] into);

    /** Signed bytes to floats. */
    public abstract void bytes(byte[] bytes, int at, int n, float[] into);

    /**
     * {@code n} bytes of two codes + 8 each: the low halves to {@code into[to ...]}, the first {@code high} of the high
     * halves behind them.
     */
    public abstract void nibbles(byte[] bytes, int at, int n, float[] into, int to, int high);

    /**
     * A centroid and what its codes stand for: {@code into[to + k] = centroids[from + k] + r[k]} for k below {@code dim}, r being
     * what the bytes from {@code at} on say: each has {@code codes} of its components (2, 4 or 8), byte b those that lie in {@code
     * components} from b * codes on.
     */
    public abstract void residual(
        byte[] bytes,
        int at,
        float[] components,
        int codes,
        float[] centroids,
        int from,
        float[] into,
        int to,
        int dim
    );

    /**
     * For each of the table's query tokens i: best[i] = max(best[i], scales[j] * (q_i . u_j) + offsets[j] * sums[i]) over
     * the tile's TILE tokens u_j, which lie in {@code tile} one after the other.
     */
    public abstract void products(FloatTable table, float[] tile, float[] scales, float[] offsets, float[] best);

    /**
     * The same for n tokens of one bit a dimension and query vectors of a few: best[i] = max(best[i], factors[j] * (s_j . q_i)),
     * s_j the signs. Token j's bits are {@code words[j * table.words() ...]}; {@code sums}, of n * lanes() numbers, is nobody else's,
     * and full of zeros at first.
     */
    public abstract void signs(BitTable table, int[] words, float[] factors, int n, int[] sums, float[] best);
}
