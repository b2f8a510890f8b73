package osmv.codecs;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Random;
import java.util.zip.CRC32;
import java.util.zip.ZipEntry;
import java.util.zip.ZipOutputStream;
import osmv.blob.Blob;

/** A codebook of random numbers in its file, blobs that were written with it, and their vectors as the formats define them. */
public final class RandomCodebook {
    public final byte[] npz;
    public final Codebook codebook;
    private final Random random;
    private final float[][] centroids;
    private final Map<Integer, float[]> weights = new LinkedHashMap<>();

    public RandomCodebook(Random random, int size, int dim) {
        this.random = random;
        centroids = new float[size][dim];
        ByteBuffer halves = ByteBuffer.allocate(2 * size * dim).order(ByteOrder.LITTLE_ENDIAN);
        for (float[] centroid : centroids) {
            for (int k = 0; k < dim; k++) {
                short half = Float.floatToFloat16((float) (random.nextGaussian() / Math.sqrt(dim)));
                halves.putShort(half);
                centroid[k] = Float.float16ToFloat(half);
            }
        }
        Map<String, byte[]> files = new LinkedHashMap<>();
        files.put("centroids.npy", npy("<f2", "(" + size + ", " + dim + ")", halves.array()));
        for (int bits : new int[] { 1, 2, 4 }) {
            float[] values = new float[1 << bits];
            ByteBuffer floats = ByteBuffer.allocate(4 * values.length).order(ByteOrder.LITTLE_ENDIAN);
            for (int i = 0; i < values.length; i++) {
                values[i] = random.nextFloat() - 0.5f;
                floats.putFloat(values[i]);
            }
            weights.put(bits, values);
            files.put("weights_" + bits + ".npy", npy("<f4", "(" + values.length + ",)", floats.array()));
        }
        npz = zip(files);
        try {
            codebook = Codebook.read(npz);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** A blob of random codes, and what it holds to {@code vectors}. */
    public byte[] blob(int bits, float[][] vectors) {
        int width = (codebook.dim * bits + 7) / 8;
        ByteBuffer payload = ByteBuffer.allocate(8 + vectors.length * (4 + (codebook.size > 65536 ? 4 : 2) + width));
        payload.order(ByteOrder.LITTLE_ENDIAN).put(HexFormat.of().parseHex(codebook.id));
        float[] factors = new float[vectors.length];
        int[] ids = new int[vectors.length];
        for (int j = 0; j < factors.length; j++) {
            factors[j] = 0.5f + random.nextFloat();
            payload.putFloat(factors[j]);
        }
        for (int j = 0; j < ids.length; j++) {
            ids[j] = j == 0 ? codebook.size - 1 : random.nextInt(codebook.size);
            if (codebook.size > 65536) {
                payload.putInt(ids[j]);
            } else {
                payload.putShort((short) ids[j]);
            }
        }
        for (int j = 0; j < vectors.length; j++) {
            byte[] row = new byte[width];
            random.nextBytes(row);
            payload.put(row);
            vectors[j] = new float[codebook.dim];
            for (int k = 0; k < codebook.dim; k++) {
                int code = row[k * bits / 8] >> k * bits % 8 & (1 << bits) - 1;
                vectors[j][k] = factors[j] * (centroids[ids[j]][k] + weights.get(bits)[code]);
            }
        }
        return Blob.seal(bits == 4 ? 8 : 5 + bits, vectors.length, codebook.dim, payload.array());
    }

    static byte[] npy(String type, String shape, byte[] data) {
        String header = "{'descr': '" + type + "', 'fortran_order': False, 'shape': " + shape + ", }";
        header += " ".repeat(63 - (10 + header.length()) % 64) + "\n";
        ByteBuffer file = ByteBuffer.allocate(10 + header.length() + data.length).order(ByteOrder.LITTLE_ENDIAN);
        file.put(new byte[] { (byte) 0x93, 'N', 'U', 'M', 'P', 'Y', 1, 0 }).putShort((short) header.length());
        return file.put(header.getBytes(StandardCharsets.US_ASCII)).put(data).array();
    }

    static byte[] zip(Map<String, byte[]> files) {
        ByteArrayOutputStream content = new ByteArrayOutputStream();
        try (ZipOutputStream zip = new ZipOutputStream(content)) {
            for (Map.Entry<String, byte[]> file : files.entrySet()) {
                ZipEntry entry = new ZipEntry(file.getKey());
                CRC32 crc = new CRC32();
                crc.update(file.getValue());
                entry.setMethod(ZipEntry.STORED);
                entry.setSize(file.getValue().length);
                entry.setCrc(crc.getValue());
                zip.putNextEntry(entry);
                zip.write(file.getValue());
            }
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        return content.toByteArray();
    }
}
