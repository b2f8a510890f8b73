package osmv.codecs;

import osmv.blob.Blob;
import osmv.kernels.Kernel;

/**
 * {@code int4}: 16 levels, two codes a byte: with h = ceil(d / 2), byte j has code j in its low half and code h + j in its
 * high half, both + 8.
 */
final class Int4 extends Scalar {
    Int4() {
        super(4, "int4", 16);
    }

    @Override
    int width(int dim) {
        return (dim + 1) / 2;
    }

    @Override
    int code(float component, float low, float scale, float offset) {
        return Math.clamp((int) Math.rint(((double) component - low) / scale), 0, 15) - 8;
    }

    @Override
    void pack(int[] codes, byte[] payload, int at) {
        int half = width(codes.length);
        for (int k = 0; k < half; k++) {
            int high = half + k < codes.length ? codes[half + k] + 8 : 0;
            payload[at + k] = (byte) (codes[k] + 8 | high << 4);
        }
    }

    @Override
    public void unpack(Kernel kernel, Blob blob, int first, int n, float[] into) {
        int half = width(blob.dim);
        for (int j = 0; j < n; j++) {
            kernel.nibbles(blob.bytes, codes(blob, first + j), half, into, j * blob.dim, blob.dim - half);
        }
    }
}
