package osmv.kernels;

import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.nio.ByteOrder;
import org.apache.lucene.util.VectorUtil;

/** For a JVM without the incubating vector module: Lucene's own dot product for each pair of tokens. */
final class PortableKernel extends Kernel {
    static final VarHandle INT = MethodHandles.byteArrayViewVarHandle(int[].class, ByteOrder.LITTLE_ENDIAN);
    static final VarHandle FLOAT = MethodHandles.byteArrayViewVarHandle(float[].class, ByteOrder.LITTLE_ENDIAN);

    @Override
    public String name() {
        return "portable";
    }

    @Override
    public int lanes() {
        return 1;
    }

    @Override
    public void floats(byte[] bytes, int at, int n, float[] into) {
        for (int i = 0; i < n; i++) {
            into[i] = (float) FLOAT.get(bytes, at + 4 * i);
        }
    }

    @Override
    public void ints(byte[] bytes, int at, int n, int[] into) {
        for (int i = 0; i < n; i++) {
            into[i] = (int) INT.get(bytes, at + 4 * i);
        }
    }

    @Override
    public void bytes(byte[] bytes, int at, int n, float[] into) {
        for (int i = 0; i < n; i++) {
            into[i] = bytes[at + i];
        }
    }

    @Override
    public void nibbles(byte[] bytes, int at, int n, float[] into, int to, int high) {
        for (int i = 0; i < n; i++) {
            into[to + i] = (bytes[at + i] & 15) - 8;
        }
        for (int i = 0; i < high; i++) {
            into[to + n + i] = (bytes[at + i] >> 4 & 15) - 8;
        }
    }

    @Override
    public void residual(
        byte[] bytes,
        int at,
        float[] components,
        int codes,
        float[] centroids,
        int from,
        float[] into,
        int to,
        int dim
    ) {
        int k = 0;
        for (int i = at; k < dim; i++) {
            int row = (bytes[i] & 0xff) * codes;
            for (int end = Math.min(dim, k + codes); k < end; k++) {
                into[to + k] = centroids[from + k] + components[row++];
            }
        }
    }

    @Override
    public void products(FloatTable table, float[] tile, float[] scales, float[] offsets, float[] best) {
        float[] token = new float[table.dim];
        for (int j = 0; j < TILE; j++) {
            System.arraycopy(tile, j * table.dim, token, 0, table.dim);
            for (int i = 0; i < table.count; i++) {
                float product = VectorUtil.dotProduct(table.rows[i], token);
                best[i] = Math.max(best[i], scales[j] * product + offsets[j] * table.sums[i]);
            }
        }
    }

    @Override
    public void signs(BitTable table, int[] words, float[] factors, int n, int[] sums, float[] best) {
        int width = table.words;
        for (int j = 0; j < n; j++) {
            for (int i = 0; i < table.count; i++) {
                int sum = 0;
                for (int w = 0; w < width; w++) {
                    for (int p = 0; p < BitTable.PLANES; p++) {
                        sum += Integer.bitCount(words[j * width + w] ^ table.planes[(i * width + w) * BitTable.PLANES + p]) << p;
                    }
                }
                best[i] = Math.max(best[i], factors[j] * (table.minusDelta[i] * sum + table.most[i]));
            }
        }
    }
}
