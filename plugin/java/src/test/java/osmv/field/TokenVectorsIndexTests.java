package osmv.field;

import java.util.Base64;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import org.apache.lucene.search.join.ScoreMode;
import org.opensearch.action.search.SearchResponse;
import org.opensearch.common.settings.Settings;
import org.opensearch.common.xcontent.XContentType;
import org.opensearch.core.xcontent.XContentBuilder;
import org.opensearch.index.mapper.MapperParsingException;
import org.opensearch.index.query.InnerHitBuilder;
import org.opensearch.index.query.QueryBuilders;
import org.opensearch.plugins.Plugin;
import org.opensearch.search.SearchHit;
import org.opensearch.search.builder.SearchSourceBuilder;
import org.opensearch.test.OpenSearchSingleNodeTestCase;
import osmv.MultiVectorPlugin;
import osmv.codecs.Codecs;

/** token_vectors in an index of one node: search, reading back, updates. */
public final class TokenVectorsIndexTests extends OpenSearchSingleNodeTestCase {
    private static final String MAPPING = """
        {"properties": {
          "title": {"type": "keyword"},
          "tv": {"type": "token_vectors", "dimension": 2, "codec": "int8"}}}""";
    private static final String NESTED = """
        {"properties": {"passages": {"type": "nested", "properties": {
          "tv": {"type": "token_vectors", "dimension": 2, "codec": "f32"}}}}}""";

    @Override
    protected Collection<Class<? extends Plugin>> getPlugins() {
        return List.of(MultiVectorPlugin.class);
    }

    public void testExists() {
        create(MAPPING, Settings.EMPTY);
        index("with", "{\"tv\": [[1, 2]]}");
        index("empty", "{\"tv\": []}");
        index("null", "{\"tv\": null}");
        index("without", "{\"title\": \"a\"}");
        SearchResponse found = search(new SearchSourceBuilder().query(QueryBuilders.existsQuery("tv")));
        assertEquals(2, found.getHits().getTotalHits().value());
        Exception e = expectThrows(
            Exception.class,
            () -> search(new SearchSourceBuilder().query(QueryBuilders.termQuery("tv", "a")))
        );
        assertTrue(e.toString() + e.getCause(), (e.toString() + e.getCause()).contains("search it with a maxsim query"));
    }

    public void testReadingBack() {
        create(MAPPING, Settings.EMPTY);
        index("1", "{\"tv\": [[1, 2], [3, -4]]}");
        SearchHit hit = only(new SearchSourceBuilder().docValueField("tv"));
        assertEquals(List.of(base64("int8", 1, 2, 3, -4)), hit.field("tv").getValues());

        hit = only(new SearchSourceBuilder().docValueField("tv", "floats"));
        assertVectors((List<?>) hit.field("tv").getValue());

        hit = only(new SearchSourceBuilder().fetchField("tv"));
        assertVectors(hit.field("tv").getValues());

        hit = only(new SearchSourceBuilder().fetchField("tv", "base64"));
        assertEquals(List.of(base64("int8", 1, 2, 3, -4)), hit.field("tv").getValues());

        Exception e = expectThrows(Exception.class, () -> only(new SearchSourceBuilder().docValueField("tv", "csv")));
        String reason = "[tv]: unknown format [csv]: choose one of base64, floats";
        assertTrue(e.getCause().toString(), e.getCause().toString().contains(reason));
        e = expectThrows(Exception.class, () -> only(new SearchSourceBuilder().fetchField("tv", "csv")));
        assertTrue(e.getCause().toString(), e.getCause().toString().contains(reason));
    }

    private static void assertVectors(List<?> vectors) {
        assertEquals(2, vectors.size());
        assertArrayEquals(new float[] { 1, 2 }, (float[]) vectors.get(0), 0.01f);
        assertArrayEquals(new float[] { 3, -4 }, (float[]) vectors.get(1), 0.02f);
    }

    public void testWithoutAValueNothingIsReadBack() {
        create(MAPPING, Settings.EMPTY);
        index("1", "{\"title\": \"a\"}");
        SearchHit hit = only(new SearchSourceBuilder().docValueField("tv").fetchField("tv"));
        assertTrue(hit.field("tv") == null || hit.field("tv").getValues().isEmpty());
    }

    public void testNested() {
        create(NESTED, Settings.EMPTY);
        index("1", "{\"passages\": [{\"tv\": [[1, 2]]}, {\"tv\": [[3, 4]]}]}");
        SearchResponse found = search(
            new SearchSourceBuilder().query(
                QueryBuilders.nestedQuery(
                    "passages",
                    QueryBuilders.existsQuery("passages.tv"),
                    ScoreMode.None
                ).innerHit(new InnerHitBuilder().addDocValueField("passages.tv"))
            )
        );
        SearchHit[] passages = found.getHits().getAt(0).getInnerHits().get("passages").getHits();
        assertEquals(2, passages.length);
        assertEquals(base64("f32", 1, 2), passages[0].field("passages.tv").getValue());
        assertEquals(base64("f32", 3, 4), passages[1].field("passages.tv").getValue());
        assertEquals("{\"passages\":[{\"tv\":\"<doc values>\"},{\"tv\":\"<doc values>\"}]}", source("1"));
    }

    public void testTheStoredSourceStaysSmallWhateverHappensToSegments() {
        create(MAPPING, Settings.EMPTY);
        for (int i = 0; i < 3; i++) {
            index(Integer.toString(i), "{\"title\":\"a\",\"tv\":[[1,2],[3,-4]]}");
        }
        String small = "{\"title\":\"a\",\"tv\":\"<doc values>\"}";
        assertEquals(small, source("1"));
        client().admin().indices().prepareFlush("index").setForce(true).get();
        assertEquals(small, source("1"));
        client().admin().indices().prepareForceMerge("index").setMaxNumSegments(1).get();
        client().admin().indices().prepareRefresh("index").get();
        assertEquals(small, source("1"));
        assertEquals(base64("int8", 1, 2, 3, -4), stored("1"));
    }

    public void testAnUpdateThatWouldLoseVectorsIsRefused() {
        create(MAPPING, Settings.EMPTY);
        index("1", "{\"title\": \"a\", \"tv\": [[1, 2], [3, -4]]}");
        Exception e = expectThrows(
            MapperParsingException.class,
            () -> client().prepareUpdate("index", "1").setDoc(Map.of("title", "b")).get()
        );
        assertTrue(e.getMessage(), e.getMessage().startsWith("[tv]: the vectors of this document lie in doc values"));
        assertEquals(base64("int8", 1, 2, 3, -4), stored("1"));

        client().prepareUpdate("index", "1").setDoc(Map.of("title", "b", "tv", List.of(List.of(5, 6)))).get();
        assertEquals(base64("int8", 5, 6), stored("1"));
        index("2", "{\"title\": \"a\"}");
        client().prepareUpdate("index", "2").setDoc(Map.of("title", "b")).get();
        assertEquals("{\"title\":\"b\"}", source("2"));
    }

    /** Until a refresh, once a document of the index was fetched: the translog has the source as it was sent. */
    public void testAnUpdateThatReadsTheTranslogKeepsTheVectors() {
        create(MAPPING, Settings.builder().put("index.refresh_interval", -1).build());
        String sent = "{\"title\":\"a\",\"tv\":[[1,2],[3,-4]]}";
        index("0", sent);
        client().prepareGet("index", "0").get();
        index("1", sent);
        assertEquals(sent, client().prepareGet("index", "1").get().getSourceAsString());
        client().prepareUpdate("index", "1").setDoc(Map.of("title", "b")).get();
        assertEquals(base64("int8", 1, 2, 3, -4), stored("1"));
    }

    public void testADynamicTemplate() {
        create("""
            {"dynamic_templates": [{"vectors": {
              "match": "tv", "mapping": {"type": "token_vectors", "dimension": 2}}}]}""", Settings.EMPTY);
        index("1", "{\"tv\": [[1, 2], [3, -4]]}");
        assertEquals(base64("int8", 1, 2, 3, -4), stored("1"));
        assertEquals("{\"tv\":\"<doc values>\"}", source("1"));
    }

    public void testDocumentsThatAreNotJson() throws Exception {
        create(MAPPING, Settings.EMPTY);
        byte[] blob = Base64.getDecoder().decode(base64("f32", 1, 2));
        for (XContentType type : List.of(XContentType.CBOR, XContentType.SMILE, XContentType.YAML)) {
            XContentBuilder document = XContentBuilder.builder(type.xContent()).startObject().field("title", "a");
            client().prepareIndex("index").setId("1").setSource(document.field("tv", blob).endObject()).get();
            assertEquals(base64("f32", 1, 2), stored("1"));
            assertEquals(Map.of("title", "a", "tv", "<doc values>"), hit("1").getSourceAsMap());
            document = XContentBuilder.builder(type.xContent()).startObject().field("tv", new float[][] { { 1, 2 }, { 3, -4 } });
            client().prepareIndex("index").setId("1").setSource(document.endObject()).get();
            assertEquals(base64("int8", 1, 2, 3, -4), stored("1"));
        }
    }

    public void testADerivedSourceHasTheVectorsAndUpdatesKeepThem() {
        create(MAPPING, Settings.builder().put("index.derived_source.enabled", true).build());
        index("1", "{\"title\": \"a\", \"tv\": [[1, 2], [3, -4]]}");
        String blob = base64("int8", 1, 2, 3, -4);
        assertEquals(Map.of("title", "a", "tv", blob), hit("1").getSourceAsMap());
        client().prepareUpdate("index", "1").setDoc(Map.of("title", "b")).get();
        client().prepareUpdate("index", "1").setDoc(Map.of("title", "c")).get();
        assertEquals(Map.of("title", "c", "tv", blob), hit("1").getSourceAsMap());
        assertEquals(blob, stored("1"));
        index("2", "{\"title\": \"a\"}");
        assertEquals("{\"title\":\"a\"}", source("2"));
    }

    public void testADocumentThatIsRefusedLeavesNothing() {
        create(MAPPING, Settings.builder().put("index.mapping.ignore_malformed", true).build());
        Exception e = expectThrows(MapperParsingException.class, () -> index("1", "{\"title\": \"a\", \"tv\": [[1, 2], [3]]}"));
        assertEquals("[tv]: vector 1 has 1 dimensions, the field has 2", e.getMessage());
        client().admin().indices().prepareRefresh("index").get();
        assertEquals(0, search(new SearchSourceBuilder()).getHits().getTotalHits().value());
        assertFalse(client().prepareGet("index", "1").get().isExists());
    }

    public void testTheLimitCanBeChanged() {
        create(MAPPING, Settings.EMPTY);
        limit("1");
        try {
            Exception e = expectThrows(MapperParsingException.class, () -> index("1", "{\"tv\": [[1, 2], [3, 4]]}"));
            assertTrue(e.getMessage(), e.getMessage().contains("at most 1 vectors"));
        } finally {
            limit(null);
        }
        index("1", "{\"tv\": [[1, 2], [3, 4]]}");
        assertNotNull(stored("1"));
    }

    private void limit(String vectors) {
        client().admin()
            .cluster()
            .prepareUpdateSettings()
            .setPersistentSettings(Settings.builder().put(TokenVectorsFieldMapper.MAX_VECTORS.getKey(), vectors))
            .get();
    }

    private void create(String mapping, Settings settings) {
        client().admin().indices().prepareCreate("index").setSettings(settings).setMapping(mapping).get();
    }

    private void index(String id, String document) {
        client().prepareIndex("index").setId(id).setSource(document, XContentType.JSON).get();
    }

    private SearchResponse search(SearchSourceBuilder search) {
        client().admin().indices().prepareRefresh("index").get();
        return client().prepareSearch("index").setSource(search).get();
    }

    private SearchHit only(SearchSourceBuilder search) {
        SearchResponse found = search(search);
        assertEquals(1, found.getHits().getHits().length);
        return found.getHits().getAt(0);
    }

    private SearchHit hit(String id) {
        return only(new SearchSourceBuilder().query(QueryBuilders.idsQuery().addIds(id)).docValueField("tv"));
    }

    /** As it is in the segments, not in the translog. */
    private String source(String id) {
        return hit(id).getSourceAsString();
    }

    private String stored(String id) {
        return hit(id).field("tv").getValue();
    }

    private static String base64(String codec, float... flat) {
        return Base64.getEncoder().encodeToString(Codecs.seal(Codecs.named(codec), flat, flat.length / 2, 2));
    }
}
