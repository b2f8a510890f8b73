package osmv.codecs;

import osmv.blob.Blob;
import osmv.kernels.Kernel;

/** {@code f32}: floats as they are. */
final class F32 extends StoredCodec {
    F32() {
        super(1, "f32");
    }

    @Override
    public long payloadSize(int count, int dim) {
        return 4L * count * dim;
    }

    @Override
    public byte[] encode(float[] vectors, int count, int dim) {
        byte[] payload = new byte[Math.toIntExact(payloadSize(count, dim))];
        for (int i = 0; i < count * dim; i++) {
            LittleEndian.putFloat(payload, 4 * i, vectors[i]);
        }
        return payload;
    }

    @Override
    public void unpack(Kernel kernel, Blob blob, int first, int n, float[] into) {
        kernel.floats(blob.bytes, blob.payload + 4 * first * blob.dim, n * blob.dim, into);
    }
}
