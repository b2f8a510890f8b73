package osmv.kernels;

import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.nio.ByteOrder;
import org.apache.lucene.util.VectorUtil;

/** For a JVM without the incubating vector module: Lucene's own dot product for each pair of tokens. */
final class PortableKernel extends Kernel {
    private static final VarHandle FLOAT = MethodHandles.byteArrayViewVarHandle(float[].class, ByteOrder.LITTLE_ENDIAN);
    static final VarHandle INT = MethodHandles.byteArrayViewVarHandle(int[].class, ByteOrder.LITTLE_ENDIAN);

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
    public void signs(BitTable table, byte[] bytes, int at, int n, float[] factors, float[] best) {
        int width = (table.rows[0].length + 7) / 8;
        for (int j = 0; j < n; j++) {
            int row = at + j * width;
            int ones = 0;
            for (int w = 0; w < table.words; w++) {
                ones += Integer.bitCount(word(table, bytes, row, w));
            }
            for (int i = 0; i < table.count; i++) {
                int sum = 0;
                for (int p = BitTable.PLANES - 1; p >= 0; p--) {
                    sum <<= 1;
                    for (int w = 0; w < table.words; w++) {
                        sum += Integer.bitCount(word(table, bytes, row, w) & table.planes[(i * BitTable.PLANES + p) * table.words + w]);
                    }
                }
                float product = table.twiceDelta[i] * sum + (table.twiceLow[i] * ones - table.sums[i]);
                best[i] = Math.max(best[i], factors[j] * product);
            }
        }
    }

    /** A row's last word may reach into what follows it, at most into the blob's checksum: that is masked away. */
    static int word(BitTable table, byte[] bytes, int row, int w) {
        int word = (int) INT.get(bytes, row + 4 * w);
        return w == table.words - 1 ? word & table.lastMask : word;
    }
}
