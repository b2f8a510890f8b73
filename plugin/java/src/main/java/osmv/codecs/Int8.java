package osmv.codecs;

import osmv.blob.Blob;
import osmv.kernels.Kernel;

/** {@code int8}: 256 levels, a signed byte each. */
final class Int8 extends Scalar {
    Int8() {
        super(3, "int8", 256);
    }

    @Override
    int width(int dim) {
        return dim;
    }

    @Override
    int code(float component, float low, float scale, float offset) {
        return Math.clamp((int) Math.rint((component - offset) / scale), -128, 127);
    }

    @Override
    void pack(int[] codes, byte[] payload, int at) {
        for (int k = 0; k < codes.length; k++) {
            payload[at + k] = (byte) codes[k];
        }
    }

    @Override
    public void unpack(Kernel kernel, Blob blob, int first, int n, float[] into) {
        kernel.bytes(blob.bytes, codes(blob, first), n * blob.dim, into);
    }
}
