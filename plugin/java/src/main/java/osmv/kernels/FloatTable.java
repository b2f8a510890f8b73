package osmv.kernels;

import java.util.Arrays;

/** A query's vectors as {@link Kernel#products} reads them. Immutable once made. */
public final class FloatTable {
    /** Query vectors, and to how many they are padded with zeros. */
    final int count;

    final int size;
    final int dim;
    final float[][] rows;
    /** Component k of the query vectors b * lanes to b * lanes + lanes - 1 from (b * dim + k) * lanes on. */
    final float[] columns;
    /** The sum of each vector's components. */
    final float[] sums;

    public FloatTable(float[][] vectors, int lanes) {
        count = vectors.length;
        size = (count + lanes - 1) / lanes * lanes;
        dim = vectors[0].length;
        rows = vectors;
        columns = new float[size * dim];
        sums = new float[size];
        for (int i = 0; i < count; i++) {
            double sum = 0;
            for (int k = 0; k < dim; k++) {
                columns[(i / lanes * dim + k) * lanes + i % lanes] = vectors[i][k];
                sum += vectors[i][k];
            }
            sums[i] = (float) sum;
        }
    }

    /** Best similarities before any document token was seen. */
    public void clear(float[] best) {
        Arrays.fill(best, 0, size, Float.NEGATIVE_INFINITY);
    }
}
