package osmv.kernels;

import org.apache.lucene.util.Constants;
import org.opensearch.test.OpenSearchTestCase;

public class KernelsTests extends OpenSearchTestCase {
    /** Where the machine has wide vectors and the JVM the module, the fast kernel runs, and operators can tell. */
    public void testTheVectorKernelIsChosenWhereItIsTheFastOne() throws ReflectiveOperationException {
        assertEquals("portable", Kernels.portable().name());
        boolean fast = false;
        if (ModuleLayer.boot().findModule("jdk.incubator.vector").isPresent()) {
            Kernel vector = (Kernel) Class.forName("osmv.kernels.VectorKernel").getDeclaredConstructor().newInstance();
            fast = vector.lanes() >= 8 || Constants.OS_ARCH.equals("aarch64");
            assertEquals("vector-" + 32 * vector.lanes(), vector.name());
        }
        assertEquals(fast, Kernels.current() != Kernels.portable());
    }
}
