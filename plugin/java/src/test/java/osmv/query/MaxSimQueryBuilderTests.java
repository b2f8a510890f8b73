package osmv.query;

import java.io.IOException;
import java.util.Arrays;
import java.util.Base64;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import org.apache.lucene.search.MatchNoDocsQuery;
import org.apache.lucene.search.Query;
import org.opensearch.common.compress.CompressedXContent;
import org.opensearch.common.xcontent.XContentFactory;
import org.opensearch.common.xcontent.json.JsonXContent;
import org.opensearch.core.common.ParsingException;
import org.opensearch.core.common.bytes.BytesReference;
import org.opensearch.core.xcontent.XContentParser;
import org.opensearch.index.mapper.MapperService;
import org.opensearch.index.query.QueryShardContext;
import org.opensearch.plugins.Plugin;
import org.opensearch.test.AbstractQueryTestCase;
import org.opensearch.test.TestGeoShapeFieldMapperPlugin;
import osmv.MultiVectorPlugin;
import osmv.maxsim.QueryVectors;
import osmv.maxsim.Scoring;

/** The query in JSON, on the wire and in Lucene; what it refuses. */
public final class MaxSimQueryBuilderTests extends AbstractQueryTestCase<MaxSimQueryBuilder> {
    private static final String FIELD = "\"field\": \"mv\", ";
    private static final String VECTORS = "\"query_vectors\": [[1, 2], [3, 4.5]]";

    /** The framework's own mapping has a geo_shape. */
    @Override
    @SuppressWarnings("deprecation")
    protected Collection<Class<? extends Plugin>> getPlugins() {
        return List.of(MultiVectorPlugin.class, TestGeoShapeFieldMapperPlugin.class);
    }

    @Override
    protected void initializeAdditionalMappings(MapperService mappers) throws IOException {
        String mapping = "{\"properties\":{\"mv\":{\"type\":\"binary\",\"doc_values\":true},\"plain\":{\"type\":\"binary\"}}}";
        mappers.merge("_doc", new CompressedXContent(mapping), MapperService.MergeReason.MAPPING_UPDATE);
    }

    @Override
    protected MaxSimQueryBuilder doCreateTestQueryBuilder() {
        int count = between(1, 5);
        float[] weights = new float[count];
        for (int i = 0; i < count; i++) {
            weights[i] = random().nextFloat() + 0.01f;
        }
        QueryVectors query = new QueryVectors(
            Corpus.vectors(random(), count),
            randomBoolean() ? weights : null,
            randomFrom(Scoring.values())
        );
        return new MaxSimQueryBuilder(
            randomFrom("mv", "nowhere"),
            query,
            randomBoolean() ? random().nextDouble() : null,
            new Searches()
        );
    }

    @Override
    protected void doAssertLuceneQuery(MaxSimQueryBuilder builder, Query query, QueryShardContext context) {
        if (builder.toString().contains("nowhere")) {
            assertTrue(query instanceof MatchNoDocsQuery);
        } else {
            assertTrue(query instanceof MaxSimQuery);
            assertEquals(query, builder.doToQuery(context));
            assertEquals(query.hashCode(), builder.doToQuery(context).hashCode());
        }
    }

    private static MaxSimQueryBuilder parse(String content) throws IOException {
        try (XContentParser parser = JsonXContent.jsonXContent.createParser(null, null, "{" + content + "}")) {
            parser.nextToken();
            return MaxSimQueryBuilder.parse(parser, new Searches());
        }
    }

    public void testNumbersAndBase64AreTheSame() throws IOException {
        float[][] vectors = Corpus.vectors(random(), 3);
        MaxSimQueryBuilder numbers = parse(FIELD + "\"query_vectors\": " + Arrays.deepToString(vectors));
        MaxSimQueryBuilder base64 = parse(FIELD + "\"query_vectors\": \"" + Corpus.base64("f32", vectors) + "\"");
        QueryVectors query = new QueryVectors(vectors, null, Scoring.SUM_MAX);
        assertEquals(new MaxSimQueryBuilder("mv", query, null, new Searches()), numbers);
        assertEquals(numbers, base64);
        // Any codec that documents may have: within its error.
        parse(FIELD + "\"query_vectors\": \"" + Corpus.base64("int8", vectors) + "\"");
    }

    public void testReadsAllKeys() throws IOException {
        MaxSimQueryBuilder builder = parse(
            "\"weights\": [1, 0.5], \"score\": \"max\", \"min_score\": -2, \"boost\": 3, \"_name\": \"q\", " + FIELD + VECTORS
        );
        QueryVectors query = new QueryVectors(new float[][] { { 1, 2 }, { 3, 4.5f } }, new float[] { 1, 0.5f }, Scoring.MAX);
        assertEquals(new MaxSimQueryBuilder("mv", query, -2.0, new Searches()).boost(3).queryName("q"), builder);
    }

    public void testBinaryFormats() throws IOException {
        MaxSimQueryBuilder original = createTestQueryBuilder();
        BytesReference bytes = BytesReference.bytes(original.toXContent(XContentFactory.cborBuilder(), null));
        try (XContentParser parser = createParser(XContentFactory.cborBuilder().contentType().xContent(), bytes)) {
            assertEquals(original, parseQuery(parser));
        }
    }

    public void testRefusesWhatItDoesNotKnow() {
        String zeros = Base64.getEncoder().encodeToString(new byte[40]);
        Map<String, String> refused = Map.ofEntries(
            Map.entry(FIELD + VECTORS + ", \"vectors\": 3", "[maxsim] does not know [vectors]"),
            Map.entry(VECTORS, "[maxsim] needs [field]"),
            Map.entry("\"field\": \"mv\"", "[maxsim] needs [query_vectors]"),
            Map.entry("\"field\": 3, " + VECTORS, "[field] must be a string"),
            Map.entry(FIELD + "\"query_vectors\": []", "query_vectors is empty"),
            Map.entry(FIELD + "\"query_vectors\": [1, 2]", "[query_vectors] must be an array of arrays"),
            Map.entry(FIELD + "\"query_vectors\": [[1, \"2\"]]", "[query_vectors] must be made of numbers"),
            Map.entry(FIELD + "\"query_vectors\": [[1, null]]", "[query_vectors] must be made of numbers"),
            Map.entry(FIELD + "\"query_vectors\": [[]]", "query_vectors[0] has 0 dimensions"),
            Map.entry(FIELD + "\"query_vectors\": [[1, 2], [3]]", "query_vectors[1] has 1 dimensions"),
            Map.entry(FIELD + "\"query_vectors\": [[1e99]]", "query_vectors[0][0] is Infinity"),
            Map.entry(FIELD + "\"query_vectors\": {}", "[query_vectors] must be an array of arrays of numbers, or base64"),
            Map.entry(FIELD + "\"query_vectors\": \"???\"", "[query_vectors] is not base64"),
            Map.entry(FIELD + "\"query_vectors\": \"" + zeros + "\"", "[query_vectors]: not a token-vector blob"),
            Map.entry(FIELD + VECTORS + ", \"weights\": [1]", "there are 1 weights for 2 query_vectors"),
            Map.entry(FIELD + VECTORS + ", \"weights\": [1, -1]", "weights[1] is -1.0"),
            Map.entry(FIELD + VECTORS + ", \"weights\": 1", "[weights] must be an array of numbers"),
            Map.entry(FIELD + VECTORS + ", \"score\": \"mean\"", "unknown score [mean]"),
            Map.entry(FIELD + VECTORS + ", \"min_score\": \"1\"", "[min_score] must be a number"),
            Map.entry(FIELD + VECTORS + ", \"boost\": -1", "[boost] is -1.0"),
            Map.entry(FIELD + VECTORS + ", \"_name\": 1", "[_name] must be a string")
        );
        refused.forEach((content, part) -> {
            ParsingException e = expectThrows(ParsingException.class, () -> parse(content));
            assertTrue(content + ": " + e.getMessage(), e.getMessage().contains(part));
        });
    }

    public void testTooManyQueryVectors() {
        String base64 = Corpus.base64("bit", Corpus.vectors(random(), 1025));
        for (String vectors : List.of(Arrays.deepToString(new int[1025][1]), "\"" + base64 + "\"")) {
            ParsingException e = expectThrows(ParsingException.class, () -> parse(FIELD + "\"query_vectors\": " + vectors));
            assertTrue(e.getMessage(), e.getMessage().contains("more than 1024 vectors"));
        }
    }

    public void testRefusesFieldsWithoutDocValues() {
        QueryVectors query = new QueryVectors(Corpus.vectors(random(), 1), null, Scoring.MAX);
        MaxSimQueryBuilder builder = new MaxSimQueryBuilder("plain", query, null, new Searches());
        IllegalArgumentException e = expectThrows(IllegalArgumentException.class, () -> builder.doToQuery(createShardContext()));
        assertTrue(e.getMessage(), e.getMessage().contains("[plain] of type [binary] without doc_values"));
    }

    @Override
    public void testMustRewrite() throws IOException {
        QueryShardContext context = createShardContext();
        MaxSimQueryBuilder builder = createTestQueryBuilder();
        assertSame(builder, builder.rewrite(context));
    }
}
