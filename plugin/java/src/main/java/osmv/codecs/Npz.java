package osmv.codecs;

import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.TreeMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.zip.ZipEntry;
import java.util.zip.ZipInputStream;

/**
 * Named arrays as {@code numpy.savez} writes them: a zip that stores a file {@code NAME.npy} for each. Read is what the
 * project writes, little-endian floats in C order, and nothing else. Whatever is wrong is an IOException that says what.
 */
final class Npz {
    private static final String SUFFIX = ".npy";
    private static final byte[] MAGIC = { (byte) 0x93, 'N', 'U', 'M', 'P', 'Y', 1, 0 };
    private static final Pattern HEADER = Pattern.compile(
        "\\{'descr': '(<f[248])', 'fortran_order': False, 'shape': \\((\\d{1,9})(?:,|, (\\d{1,9}))\\), \\} *\n"
    );

    private Npz() {}

    /** {@code type}: as NumPy names it, "&lt;f4". {@code shape}: one or two numbers. {@code data}: the floats' bytes. */
    record Array(String type, int[] shape, byte[] data) {
        float[] floats() {
            int width = type.charAt(2) - '0';
            float[] floats = new float[data.length / width];
            for (int i = 0; i < floats.length; i++) {
                floats[i] = width == 2
                    ? Float.float16ToFloat(LittleEndian.getShort(data, 2 * i))
                    : width == 4 ? LittleEndian.getFloat(data, 4 * i) : (float) LittleEndian.getDouble(data, 8 * i);
            }
            return floats;
        }
    }

    /** The arrays in the order of their names. */
    static TreeMap<String, Array> read(byte[] content) throws IOException {
        TreeMap<String, Array> arrays = new TreeMap<>();
        try (ZipInputStream zip = new ZipInputStream(new ByteArrayInputStream(content))) {
            for (ZipEntry entry = zip.getNextEntry(); entry != null; entry = zip.getNextEntry()) {
                String name = entry.getName();
                // What is stored is no larger than the content: nobody makes much memory of few bytes.
                if (entry.getMethod() != ZipEntry.STORED || !name.endsWith(SUFFIX)) {
                    throw new IOException("[" + name + "] is no array that numpy.savez wrote");
                }
                arrays.put(name.substring(0, name.length() - SUFFIX.length()), array(name, zip.readAllBytes()));
            }
        }
        return arrays;
    }

    private static Array array(String name, byte[] file) throws IOException {
        int start = MAGIC.length + 2;
        if (file.length < start || !Arrays.equals(file, 0, MAGIC.length, MAGIC, 0, MAGIC.length)) {
            throw new IOException("[" + name + "] is no array in NumPy's format 1.0");
        }
        int end = start + (LittleEndian.getShort(file, MAGIC.length) & 0xffff);
        String text = end > file.length ? "" : new String(file, start, end - start, StandardCharsets.ISO_8859_1);
        Matcher header = HEADER.matcher(text);
        if (!header.matches()) {
            throw new IOException("[" + name + "] is no array of little-endian floats in C order: " + text.strip());
        }
        int rows = Integer.parseInt(header.group(2));
        int[] shape = header.group(3) == null ? new int[] { rows } : new int[] { rows, Integer.parseInt(header.group(3)) };
        long size = header.group(1).charAt(2) - '0';
        for (int n : shape) {
            size *= n;
        }
        if (size != file.length - end) {
            String held = "[" + name + "] holds " + (file.length - end) + " bytes for the shape ";
            throw new IOException(held + Arrays.toString(shape));
        }
        return new Array(header.group(1), shape, Arrays.copyOfRange(file, end, file.length));
    }
}
