package osmv.field;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;
import java.util.Base64;
import java.util.Collection;
import java.util.List;
import org.apache.lucene.index.IndexableField;
import org.apache.lucene.util.BytesRef;
import org.opensearch.common.CheckedConsumer;
import org.opensearch.core.xcontent.XContentBuilder;
import org.opensearch.index.mapper.BinaryFieldMapper;
import org.opensearch.index.mapper.DocumentMapper;
import org.opensearch.index.mapper.MapperParsingException;
import org.opensearch.index.mapper.MapperService;
import org.opensearch.index.mapper.MapperTestCase;
import org.opensearch.index.mapper.ParsedDocument;
import org.opensearch.index.mapper.SourceFieldMapper;
import org.opensearch.plugins.Plugin;
import osmv.MultiVectorPlugin;
import osmv.blob.Blob;
import osmv.codecs.Codecs;

/** Mapping and documents of token_vectors, without an index. */
public final class TokenVectorsFieldMapperTests extends MapperTestCase {
    @Override
    protected Collection<? extends Plugin> getPlugins() {
        return List.of(new MultiVectorPlugin());
    }

    @Override
    protected void minimalMapping(XContentBuilder b) throws IOException {
        b.field("type", "token_vectors").field("dimension", 3);
    }

    @Override
    protected void writeFieldValue(XContentBuilder b) throws IOException {
        b.startArray().startArray().value(1).value(2.5).value(-3).endArray().endArray();
    }

    @Override
    protected void registerParameters(ParameterChecker checker) throws IOException {
        checker.registerConflictCheck(
            "dimension",
            fieldMapping(this::minimalMapping),
            fieldMapping(b -> b.field("type", "token_vectors").field("dimension", 4))
        );
        checker.registerConflictCheck("codec", b -> b.field("codec", "f32"));
    }

    public void testMappingsThatAreRefused() throws IOException {
        assertMappingRefused("whole number from 1 to 4096", b -> b.field("type", "token_vectors"));
        for (Object dimension : new Object[] { 0, -1, 4097, "many", 2.5 }) {
            assertMappingRefused(
                "whole number from 1 to 4096",
                b -> b.field("type", "token_vectors").field("dimension", dimension)
            );
        }
        assertMappingRefused("choose one of f32, f16, int8, int4, bit", b -> {
            minimalMapping(b);
            b.field("codec", "int9");
        });
        assertMappingRefused("unknown parameter [ignore_malformed]", b -> {
            minimalMapping(b);
            b.field("ignore_malformed", true);
        });
        assertMappingRefused("neither [fields] nor [copy_to]", b -> {
            minimalMapping(b);
            b.field("copy_to", "other");
        });
        assertMappingRefused("neither [fields] nor [copy_to]", b -> {
            minimalMapping(b);
            b.startObject("fields").startObject("sub").field("type", "keyword").endObject().endObject();
        });
        assertMappingRefused("can't be a multi-field", b -> {
            b.field("type", "keyword").startObject("fields").startObject("sub");
            minimalMapping(b);
            b.endObject().endObject();
        });
    }

    private void assertMappingRefused(String reason, CheckedConsumer<XContentBuilder, IOException> field) {
        Exception e = expectThrows(MapperParsingException.class, () -> createDocumentMapper(fieldMapping(field)));
        assertTrue(e.getMessage(), e.getMessage().contains(reason));
    }

    public void testTheDocValueIsThatOfABinaryField() throws Exception {
        String vectors = "[" + "[1, 2.5, -3],".repeat(99) + "[0, 0, 0]]";
        BytesRef stored = docValue(createDocumentMapper(fieldMapping(this::minimalMapping)), vectors);
        float[][] expected = new float[100][];
        for (int j = 0; j < 99; j++) {
            expected[j] = new float[] { 1, 2.5f, -3 };
        }
        expected[99] = new float[3];
        byte[] blob = sealed("int8", expected);
        assertEquals(new BinaryFieldMapper.CustomBinaryDocValuesField("field", blob).binaryValue(), stored);
        assertEquals(new BytesRef(blob), TokenVectorsField.blob(stored));
    }

    public void testEveryCodec() throws Exception {
        for (String codec : Codecs.names()) {
            DocumentMapper mapper = createDocumentMapper(fieldMapping(b -> {
                minimalMapping(b);
                b.field("codec", codec);
            }));
            assertEquals(
                new BytesRef(sealed(codec, new float[] { 1, 2.5f, -3 }, new float[] { 0, 0, 7 })),
                TokenVectorsField.blob(docValue(mapper, "[[1, 2.5, -3], [0, 0, 7]]"))
            );
        }
    }

    public void testNullIsNoValueAndAnEmptyArrayIsABlobWithoutVectors() throws Exception {
        DocumentMapper mapper = createDocumentMapper(fieldMapping(this::minimalMapping));
        assertEquals(0, mapper.parse(source(b -> b.nullField("field"))).rootDoc().getFields("field").length);
        assertEquals(new BytesRef(sealed("int8")), TokenVectorsField.blob(docValue(mapper, "[]")));
    }

    public void testABlobIsStoredAsItIs() throws Exception {
        DocumentMapper mapper = createDocumentMapper(fieldMapping(this::minimalMapping));
        for (String codec : Codecs.names()) {
            byte[] blob = sealed(codec, new float[] { 1, 2.5f, -3 });
            assertEquals(new BytesRef(blob), TokenVectorsField.blob(docValue(mapper, '"' + base64(blob) + '"')));
        }
    }

    public void testBlobsThatAreRefused() throws Exception {
        byte[] blob = sealed("f32", new float[] { 1, 2.5f, -3 });
        assertRefused("is not the base64 of a blob", "\"NaN!\"");
        assertRefused("it does not start with OSMV", '"' + base64(new byte[40]) + '"');
        byte[] flipped = blob.clone();
        flipped[20] ^= 1;
        assertRefused("CRC-32C does not match", '"' + base64(flipped) + '"');
        assertRefused("are cut", '"' + base64(Arrays.copyOf(blob, 10)) + '"');
        assertRefused("the blob has 2 dimensions, the field has 3", '"' + base64(sealed("int8", new float[] { 1, 2 })) + '"');
        assertRefused("codec id 77", '"' + base64(Blob.seal(77, 0, 3, new byte[0])) + '"');
        for (float bad : new float[] { Float.NaN, Float.NEGATIVE_INFINITY }) {
            byte[] payload = ByteBuffer.allocate(24).order(ByteOrder.LITTLE_ENDIAN).putFloat(16, bad).array();
            assertRefused("vector 1 of the blob holds NaN or infinity", '"' + base64(Blob.seal(1, 2, 3, payload)) + '"');
            byte[] scalar = ByteBuffer.allocate(11).order(ByteOrder.LITTLE_ENDIAN).putFloat(4, bad).array();
            assertRefused("vector 0 of the blob holds NaN or infinity", '"' + base64(Blob.seal(3, 1, 3, scalar)) + '"');
        }
    }

    public void testVectorsThatAreRefused() throws Exception {
        assertRefused("vector 1 has 2 dimensions, the field has 3", "[[1, 2, 3], [1, 2], [1, 2, 3]]");
        assertRefused("vector 0 has 0 dimensions, the field has 3", "[[]]");
        assertRefused("vector 1 has more than 3 dimensions, the field has 3", "[[1, 2, 3], [1, 2, 3, 4]]");
        assertRefused("vector 0 is the number 1, not an array of numbers", "[1, 2, 3]");
        assertRefused("vector 1 is null, not an array of numbers", "[[1, 2, 3], null]");
        assertRefused("vector 0, component 2 is null, not a number", "[[1, 2, null]]");
        assertRefused("vector 0, component 1 is the string \"NaN\", not a number", "[[1, \"NaN\", 3]]");
        assertRefused("vector 0, component 1 is the string \"2\", not a number", "[[1, \"2\", 3]]");
        assertRefused("vector 0, component 0 is the boolean true, not a number", "[[true, 2, 3]]");
        assertRefused("vector 0, component 1 is an array, not a number", "[[1, [2], 3]]");
        assertRefused("vector 0, component 1 is an object, not a number", "[[1, {}, 3]]");
        assertRefused("vector 0, component 2 is 1e39, not a finite 32-bit float", "[[1, 2, 1e39]]");
        assertRefused("vector 0, component 2 is -1e999, not a finite 32-bit float", "[[1, 2, -1e999]]");
        assertRefused("not an object", "{\"vectors\": [[1, 2, 3]]}");
        assertRefused("not the number 7", "7");
        assertRefused("not the boolean false", "false");
        for (String notJson : new String[] { "NaN", "Infinity", "-Infinity" }) {
            DocumentMapper mapper = createDocumentMapper(fieldMapping(this::minimalMapping));
            expectThrows(MapperParsingException.class, () -> mapper.parse(source("{\"field\": [[1, 2, " + notJson + "]]}")));
        }
    }

    public void testWhatTheCodecCantHold() throws Exception {
        DocumentMapper f16 = createDocumentMapper(fieldMapping(b -> {
            minimalMapping(b);
            b.field("codec", "f16");
        }));
        assertRefused(f16, "vector 1 exceeds 65,504, the largest in f16: use codec f32 or int8", "[[1, 2, 3], [1, 2, 70000]]");
        DocumentMapper bit = createDocumentMapper(fieldMapping(b -> {
            minimalMapping(b);
            b.field("codec", "bit");
        }));
        assertRefused(bit, "vector 0 has a norm beyond 32-bit floats: use codec f32 or int8", "[[3e38, 3e38, 3e38]]");
    }

    public void testTooManyVectorsAreRefusedBeforeTheRestIsRead() throws Exception {
        String vectors = "[" + "[1, 2, 3],".repeat(16384) + "\"not looked at\"]";
        assertRefused("at most 16384 vectors", vectors.replace("\"not looked at\"", "[1, 2, 3], \"not looked at\""));
        byte[] blob = Codecs.seal(Codecs.named("bit"), new float[16385 * 3], 16385, 3);
        assertRefused("at most 16384 vectors", '"' + base64(blob) + '"');
    }

    public void testSeveralValuesInOneDocument() throws Exception {
        DocumentMapper mapper = createDocumentMapper(mapping(b -> {
            b.startObject("passages").startObject("properties").startObject("tv");
            minimalMapping(b);
            b.endObject().endObject().endObject();
        }));
        Exception e = expectThrows(
            MapperParsingException.class,
            () -> mapper.parse(source("{\"passages\": [{\"tv\": [[1, 2, 3]]}, {\"tv\": [[4, 5, 6]]}]}"))
        );
        assertTrue(e.getMessage(), e.getMessage().startsWith("[passages.tv]: the document has several values"));
        assertNotNull(mapper.parse(source("{\"passages\": [{\"tv\": [[1, 2, 3]]}, {\"tv\": null}]}")));
    }

    public void testCopyToIsRefused() throws Exception {
        DocumentMapper mapper = createDocumentMapper(mapping(b -> {
            b.startObject("text").field("type", "keyword").field("copy_to", "tv").endObject();
            b.startObject("tv");
            minimalMapping(b);
            b.endObject();
        }));
        Exception e = expectThrows(MapperParsingException.class, () -> mapper.parse(source("{\"text\": \"a\"}")));
        assertTrue(e.getMessage(), e.getMessage().contains("[tv]: token vectors can't be copied"));
    }

    public void testTheStoredSourceHasAStandIn() throws Exception {
        DocumentMapper mapper = createDocumentMapper(mapping(b -> {
            b.startObject("tv");
            minimalMapping(b);
            b.endObject().startObject("passages").field("type", "nested").startObject("properties").startObject("tv");
            minimalMapping(b);
            b.endObject().endObject().endObject();
        }));
        String whole = "{\"title\":\"a\",\"number\":12345678901,\"tv\":[[1,2,3]],\"other\":{\"tv\":[[7]],\"x\":[null,-2,3]},"
            + "\"passages\":[{\"tv\":[[1,2,3]],\"n\":1},{\"tv\":null},{\"n\":2}]}";
        ParsedDocument parsed = mapper.parse(source(whole));
        assertEquals(
            "{\"title\":\"a\",\"number\":12345678901,\"tv\":\"<doc values>\",\"other\":{\"tv\":[[7]],\"x\":[null,-2,3]},"
                + "\"passages\":[{\"tv\":\"<doc values>\",\"n\":1},{\"tv\":null},{\"n\":2}]}",
            parsed.rootDoc().getBinaryValue("_source").utf8ToString()
        );
        assertEquals(whole, parsed.rootDoc().getBinaryValue(SourceFieldMapper.RECOVERY_SOURCE_NAME).utf8ToString());
        assertEquals(whole, parsed.source().utf8ToString());
        assertEquals(2, parsed.rootDoc().getFields(SourceFieldMapper.RECOVERY_SOURCE_NAME).length);
    }

    public void testDottedNamesAreFoundInTheSource() throws Exception {
        DocumentMapper mapper = createDocumentMapper(mapping(b -> {
            b.startObject("a").startObject("properties").startObject("tv");
            minimalMapping(b);
            b.endObject().endObject().endObject();
        }));
        List<String> ways = List.of("{\"a.tv\":[[1,2,3]]}", "{\"a\":{\"tv\":[[1,2,3]]}}", "{\"a\":[{\"tv\":[[1,2,3]]}]}");
        for (String whole : ways) {
            String stored = mapper.parse(source(whole)).rootDoc().getBinaryValue("_source").utf8ToString();
            assertEquals(whole.replace("[[1,2,3]]", "\"<doc values>\""), stored);
        }
    }

    public void testASourceWithoutVectorsIsLeftAlone() throws Exception {
        DocumentMapper mapper = createDocumentMapper(fieldMapping(this::minimalMapping));
        String whole = "{ \"title\" : \"as it was sent\", \"field\": null }";
        ParsedDocument parsed = mapper.parse(source(whole));
        assertEquals(whole, parsed.rootDoc().getBinaryValue("_source").utf8ToString());
        assertNull(parsed.rootDoc().getField(SourceFieldMapper.RECOVERY_SOURCE_NAME));
    }

    public void testADisabledOrFilteredSourceStaysSo() throws Exception {
        DocumentMapper disabled = createDocumentMapper(topMapping(b -> {
            b.startObject("_source").field("enabled", false).endObject().startObject("properties").startObject("field");
            minimalMapping(b);
            b.endObject().endObject();
        }));
        ParsedDocument parsed = disabled.parse(source(this::withVectors));
        assertNull(parsed.rootDoc().getField("_source"));
        assertEquals(2, parsed.rootDoc().getFields(SourceFieldMapper.RECOVERY_SOURCE_NAME).length);

        DocumentMapper filtered = createDocumentMapper(topMapping(b -> {
            b.startObject("_source").field("excludes", new String[] { "field" }).endObject().startObject("properties");
            b.startObject("field");
            minimalMapping(b);
            b.endObject().endObject();
        }));
        parsed = filtered.parse(source(this::withVectors));
        assertEquals("{}", parsed.rootDoc().getBinaryValue("_source").utf8ToString());
        assertEquals(2, parsed.rootDoc().getFields(SourceFieldMapper.RECOVERY_SOURCE_NAME).length);
    }

    public void testTheStandInIsRefused() throws Exception {
        assertRefused("would lose them", "\"<doc values>\"");
    }

    public void testFormats() throws Exception {
        MapperService service = createMapperService(fieldMapping(this::minimalMapping));
        Exception e = expectThrows(IllegalArgumentException.class, () -> service.fieldType("field").docValueFormat("csv", null));
        assertEquals("[field]: unknown format [csv]: choose one of base64, floats", e.getMessage());
        BytesRef blob = new BytesRef(sealed("f32", new float[] { 1, 2.5f, -3 }));
        assertEquals(base64(blob.bytes), service.fieldType("field").docValueFormat(null, null).format(blob));
        List<?> floats = (List<?>) service.fieldType("field").docValueFormat("floats", null).format(blob);
        assertArrayEquals(new float[] { 1, 2.5f, -3 }, (float[]) floats.get(0), 0);
    }

    private void withVectors(XContentBuilder b) throws IOException {
        b.field("field");
        writeFieldValue(b);
    }

    private void assertRefused(String reason, String value) throws IOException {
        assertRefused(createDocumentMapper(fieldMapping(this::minimalMapping)), reason, value);
    }

    private void assertRefused(DocumentMapper mapper, String reason, String value) {
        Exception e = expectThrows(
            MapperParsingException.class,
            () -> mapper.parse(source("{\"field\": " + value + ", \"more\": 1}"))
        );
        assertTrue(e.getMessage(), e.getMessage().startsWith("[field]: ") && e.getMessage().contains(reason));
    }

    private BytesRef docValue(DocumentMapper mapper, String value) {
        IndexableField[] fields = mapper.parse(source("{\"field\": " + value + "}")).rootDoc().getFields("field");
        assertEquals(1, fields.length);
        return fields[0].binaryValue();
    }

    private static byte[] sealed(String codec, float[]... vectors) {
        int dimension = vectors.length == 0 ? 3 : vectors[0].length;
        float[] flat = new float[vectors.length * dimension];
        for (int j = 0; j < vectors.length; j++) {
            System.arraycopy(vectors[j], 0, flat, j * dimension, dimension);
        }
        return Codecs.seal(Codecs.named(codec), flat, vectors.length, dimension);
    }

    private static String base64(byte[] bytes) {
        return Base64.getEncoder().encodeToString(bytes);
    }
}
