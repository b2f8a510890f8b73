package osmv.codecs;

import osmv.blob.Blob;
import osmv.kernels.Kernel;

/** {@code f16}: IEEE half precision. */
final class F16 extends StoredCodec {
    F16() {
        super(2, "f16");
    }

    @Override
    public long payloadSize(int count, int dim) {
        return 2L * count * dim;
    }

    @Override
    public byte[] encode(float[] vectors, int count, int dim) {
        byte[] payload = new byte[Math.toIntExact(payloadSize(count, dim))];
        for (int i = 0; i < count * dim; i++) {
            short half = Float.floatToFloat16(vectors[i]);
            if (Float.isInfinite(Float.float16ToFloat(half))) {
                throw new IllegalArgumentException(
                    "vector " + i / dim + " exceeds 65,504, the largest in f16: use codec f32 or int8"
                );
            }
            LittleEndian.putShort(payload, 2 * i, half);
        }
        return payload;
    }

    @Override
    public void unpack(Kernel kernel, Blob blob, int first, int n, float[] into) {
        int at = blob.payload + 2 * first * blob.dim;
        for (int i = 0; i < n * blob.dim; i++) {
            into[i] = Float.float16ToFloat(LittleEndian.getShort(blob.bytes, at + 2 * i));
        }
    }
}
