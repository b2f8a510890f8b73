package osmv.kernels;

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
            return vector.lanes() >= 8 || Constants.OS_ARCH.equals("aarch64") ? vector : PORTABLE;
        } catch (ReflectiveOperationException | LinkageError e) {
            return PORTABLE;
        }
    }
}
