package osmv.kernels;

import java.util.Arrays;
import org.apache.lucene.util.Constants;

/** Which kernel this JVM runs, chosen once. */
public final class Kernels {
    private static final Kernel PORTABLE = new PortableKernel();
    private static final Kernel BEST = best();

    private Kernels() {}

    public static Kernel current() {
        return BEST;
    }

    public static Kernel portable() {
        return PORTABLE;
    }

    private static Kernel best() {
        if (Boolean.getBoolean("osmv.portable") || ModuleLayer.boot().findModule("jdk.incubator.vector").isEmpty()) {
            return PORTABLE;
        }
        try {
            // By name: without the module the class could not even be loaded.
            Kernel vector = (Kernel) Class.forName("osmv.kernels.VectorKernel").getDeclaredConstructor().newInstance();
            // x86 without AVX2 has no fused multiply-add: the JVM imitates it, 30 times slower than the portable kernel.
            boolean wide = vector.lanes() >= 8 || Constants.OS_ARCH.equals("aarch64");
            return wide && agree(vector, PORTABLE) ? vector : PORTABLE;
        } catch (ReflectiveOperationException | LinkageError e) {
            return PORTABLE;
        }
    }

    /** The module is incubating: another JDK may have it otherwise, and then that had better be known now. */
    private static boolean agree(Kernel one, Kernel other) {
        return Arrays.equals(sample(one), sample(other));
    }

    /** Small whole numbers, whose products and sums are exact in any order. */
    private static float[] sample(Kernel kernel) {
        int dim = 3;
        byte[] bytes = new byte[16 * Kernel.TILE];
        for (int i = 0; i < bytes.length; i++) {
            bytes[i] = (byte) (i * 37 % 100 - 50);
        }
        float[] tile = new float[Kernel.TILE * dim];
        kernel.bytes(bytes, 1, tile.length, tile);
        float[] ones = new float[Kernel.TILE];
        Arrays.fill(ones, 1);
        float[] best = new float[2 * kernel.lanes()];
        float[][] query = { { 1, -2, 3 }, { -4, 5, 0 } };
        FloatTable floats = new FloatTable(query, kernel.lanes());
        floats.clear(best);
        kernel.products(floats, tile, ones, ones, best);
        BitTable bits = new BitTable(new float[][] { { 15, -5, 1 }, { -15, 3, 7 } }, kernel.lanes());
        int[] words = new int[Kernel.TILE * bits.words()];
        for (int j = 0; j < Kernel.TILE; j++) {
            words[j * bits.words()] = j;
        }
        float[] signs = new float[2 * kernel.lanes()];
        bits.clear(signs);
        kernel.signs(bits, words, ones, Kernel.TILE, new int[Kernel.TILE * kernel.lanes()], signs);
        return new float[] { best[0], best[1], signs[0], signs[1] };
    }
}
