package osmv.kernels;

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
            return (Kernel) Class.forName("osmv.kernels.VectorKernel").getDeclaredConstructor().newInstance();
        } catch (ReflectiveOperationException | LinkageError e) {
            return PORTABLE;
        }
    }
}
