package osmv.codecs;

import osmv.blob.Blob;

/**
 * Scalar quantisation with a scale and an offset per vector (as LVQ, Aguerrebere et al. 2023, section 3). With lo and hi
 * the least and greatest component and L the number of levels,
 *
 * <pre>
 * scale = (hi - lo) / (L - 1),  offset = lo + L / 2 * scale,  code = round((x - offset) / scale) in [-L / 2, L / 2 - 1]
 * </pre>
 *
 * Payload: n scales (f32), n offsets (f32), the codes. The arithmetic is in the precisions of {@code int8.py}, {@code
 * int4.py}, so that either language writes the same bytes.
 */
abstract class Scalar extends StoredCodec {
    private final int levels;

    Scalar(int id, String name, int levels) {
        super(id, name);
        this.levels = levels;
    }

    /** Bytes of one vector's codes. */
    abstract int width(int dim);

    /** Write a vector's codes, which lie in {@code codes}. */
    abstract void pack(int[] codes, byte[] payload, int at);

    /** The code of a component. */
    abstract int code(float component, float low, float scale, float offset);

    @Override
    public final long payloadSize(int count, int dim) {
        return (8L + width(dim)) * count;
    }

    @Override
    public final byte[] encode(float[] vectors, int count, int dim) {
        byte[] payload = new byte[Math.toIntExact(payloadSize(count, dim))];
        int[] codes = new int[dim];
        for (int j = 0; j < count; j++) {
            float low = Float.POSITIVE_INFINITY;
            float high = Float.NEGATIVE_INFINITY;
            for (int k = 0; k < dim; k++) {
                low = Math.min(low, vectors[j * dim + k]);
                high = Math.max(high, vectors[j * dim + k]);
            }
            // In double: hi - lo of two huge finite floats may not be finite as a float.
            float scale = (float) (((double) high - low) / (levels - 1));
            float offset = low + (levels / 2) * scale;
            if (Float.isFinite(offset + (levels / 2 - 1) * scale) == false) {
                throw new IllegalArgumentException("vector " + j + " ranges over more than 32-bit floats hold: use codec f32");
            }
            float divisor = scale > 0 ? scale : 1;
            for (int k = 0; k < dim; k++) {
                codes[k] = code(vectors[j * dim + k], low, divisor, offset);
            }
            LittleEndian.putFloat(payload, 4 * j, scale);
            LittleEndian.putFloat(payload, 4 * (count + j), offset);
            pack(codes, payload, 8 * count + j * width(dim));
        }
        return payload;
    }

    @Override
    public final float scale(Blob blob, int vector) {
        return LittleEndian.getFloat(blob.bytes, blob.payload + 4 * vector);
    }

    @Override
    public final float offset(Blob blob, int vector) {
        return LittleEndian.getFloat(blob.bytes, blob.payload + 4 * (blob.count + vector));
    }

    final int codes(Blob blob, int vector) {
        return blob.payload + 8 * blob.count + vector * width(blob.dim);
    }
}
