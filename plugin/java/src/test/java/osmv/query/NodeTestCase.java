package osmv.query;

import java.io.IOException;
import java.util.Arrays;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Function;
import org.opensearch.action.search.SearchRequestBuilder;
import org.opensearch.common.xcontent.XContentHelper;
import org.opensearch.common.xcontent.json.JsonXContent;
import org.opensearch.core.common.bytes.BytesReference;
import org.opensearch.core.xcontent.ToXContent;
import org.opensearch.core.xcontent.XContentBuilder;
import org.opensearch.index.query.QueryBuilder;
import org.opensearch.index.query.ScriptQueryBuilder;
import org.opensearch.plugins.Plugin;
import org.opensearch.script.MockScriptEngine;
import org.opensearch.script.MockScriptPlugin;
import org.opensearch.script.Script;
import org.opensearch.script.ScriptType;
import org.opensearch.search.SearchHits;
import org.opensearch.test.OpenSearchSingleNodeTestCase;
import osmv.MultiVectorPlugin;
import osmv.maxsim.QueryVectors;
import osmv.maxsim.Scoring;
import osmv.stats.StatsAction;
import osmv.stats.StatsRequest;

/** A node with the plugin and an index of random documents in several segments, some deleted, some without token vectors. */
abstract class NodeTestCase extends OpenSearchSingleNodeTestCase {
    /** What runs before each document that {@link #hooked} meets. */
    static volatile Runnable hook = () -> {};

    /** The living documents with token vectors, by id. */
    final Map<String, float[][]> documents = new LinkedHashMap<>();

    /** Offers a cheap clause that runs the hook. */
    public static final class HookPlugin extends MockScriptPlugin {
        @Override
        protected Map<String, Function<Map<String, Object>, Object>> pluginScripts() {
            return Map.of("hook", variables -> {
                hook.run();
                return true;
            });
        }
    }

    @Override
    protected Collection<Class<? extends Plugin>> getPlugins() {
        return List.of(MultiVectorPlugin.class, HookPlugin.class);
    }

    /** The node's own, as parsed requests have them: a request to the local node is not serialised on its way. */
    Searches searches() {
        return getInstanceFromNode(Searches.class);
    }

    static QueryBuilder hooked() {
        return new ScriptQueryBuilder(new Script(ScriptType.INLINE, MockScriptEngine.NAME, "hook", Map.of()));
    }

    void create(String... mapping) {
        client().admin().indices().prepareCreate("docs").setMapping(mapping).get();
    }

    /** Every seventh document has no vectors, every eleventh is deleted, a third is red. Bits and vectors are in two fields. */
    void index(String codec) {
        String vectors = "type=binary,doc_values=true";
        create("mv", vectors, "bits", vectors, "colour", "type=keyword", "n", "type=integer");
        documents.clear();
        for (int i = 0; i < 60; i++) {
            String id = "d" + i;
            Map<String, Object> source = new LinkedHashMap<>(Map.of("colour", i % 3 == 0 ? "red" : "blue", "n", i));
            if (i % 7 != 6) {
                documents.put(id, Corpus.vectors(random(), between(1, 20)));
                source.put("mv", Corpus.base64(codec, documents.get(id)));
                source.put("bits", Corpus.base64("bit", documents.get(id)));
            }
            client().prepareIndex("docs").setId(id).setSource(source).get();
            if (i % 17 == 16) {
                refresh();
            }
        }
        for (int i = 0; i < 60; i += 11) {
            client().prepareDelete("docs", "d" + i).get();
            documents.remove("d" + i);
        }
        refresh();
    }

    void put(String id, Object value) {
        client().prepareIndex("docs").setId(id).setSource("mv", value).get();
    }

    void refresh() {
        client().admin().indices().prepareRefresh("docs").get();
    }

    static boolean red(String id) {
        return Integer.parseInt(id.substring(1)) % 3 == 0;
    }

    QueryVectors query(Scoring scoring) {
        int count = between(1, 9);
        float[] weights = new float[count];
        for (int i = 0; i < count; i++) {
            weights[i] = 0.25f + random().nextFloat();
        }
        return new QueryVectors(Corpus.vectors(random(), count), randomBoolean() ? null : weights, scoring);
    }

    QueryVectors query() {
        return query(Scoring.SUM_MAX);
    }

    MaxSimQueryBuilder maxsim(QueryVectors query) {
        return maxsim(query, null);
    }

    MaxSimQueryBuilder maxsim(QueryVectors query, Double minScore) {
        return new MaxSimQueryBuilder("mv", query, minScore, searches());
    }

    SearchRequestBuilder search(QueryBuilder query) {
        return client().prepareSearch("docs").setSize(100).setQuery(query);
    }

    static List<String> ids(SearchHits hits) {
        return Arrays.stream(hits.getHits()).map(hit -> hit.getId()).toList();
    }

    /** How far the scores may be off. */
    static double tolerance(QueryVectors query, String codec) {
        double weights = 0;
        for (float weight : query.weights()) {
            weights += weight;
        }
        return Math.max(1, weights) * Corpus.ERROR.get(codec);
    }

    /** What the stats say of the only node. */
    @SuppressWarnings("unchecked")
    Map<String, Object> stats() throws IOException {
        XContentBuilder builder = JsonXContent.contentBuilder().startObject();
        client().execute(StatsAction.TYPE, new StatsRequest()).actionGet().toXContent(builder, ToXContent.EMPTY_PARAMS);
        BytesReference json = BytesReference.bytes(builder.endObject());
        Map<String, Object> map = XContentHelper.convertToMap(json, true, builder.contentType()).v2();
        return (Map<String, Object>) ((Map<String, Object>) map.get("nodes")).values().iterator().next();
    }

    long stat(String name) throws IOException {
        return ((Number) stats().get(name)).longValue();
    }
}
