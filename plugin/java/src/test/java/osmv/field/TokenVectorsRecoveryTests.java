package osmv.field;

import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.opensearch.action.admin.indices.recovery.RecoveryResponse;
import org.opensearch.cluster.ClusterState;
import org.opensearch.cluster.metadata.IndexMetadata;
import org.opensearch.cluster.routing.ShardRouting;
import org.opensearch.common.settings.Settings;
import org.opensearch.common.xcontent.XContentType;
import org.opensearch.index.query.QueryBuilders;
import org.opensearch.indices.recovery.RecoveryState;
import org.opensearch.plugins.Plugin;
import org.opensearch.search.SearchHit;
import org.opensearch.test.InternalTestCluster.RestartCallback;
import org.opensearch.test.OpenSearchIntegTestCase;
import org.opensearch.test.OpenSearchIntegTestCase.ClusterScope;
import org.opensearch.test.OpenSearchIntegTestCase.Scope;
import osmv.MultiVectorPlugin;

/** A replica that comes back gets the vectors it missed, to the bit, though the stored _source is without them. */
@ClusterScope(scope = Scope.TEST, numDataNodes = 0)
public final class TokenVectorsRecoveryTests extends OpenSearchIntegTestCase {
    private static final String MAPPING = """
        {"properties": {
          "title": {"type": "keyword"},
          "tv": {"type": "token_vectors", "dimension": 5, "codec": "int8"}}}""";

    @Override
    protected Collection<Class<? extends Plugin>> nodePlugins() {
        return List.of(MultiVectorPlugin.class);
    }

    public void testOperationsAreReplayedFromTheRecoverySource() throws Exception {
        recover(false);
    }

    public void testOperationsAreReplayedFromADerivedSource() throws Exception {
        recover(true);
    }

    private void recover(boolean derived) throws Exception {
        List<String> nodes = internalCluster().startNodes(2);
        client().admin()
            .indices()
            .prepareCreate("index")
            .setSettings(
                Settings.builder()
                    .put(IndexMetadata.SETTING_NUMBER_OF_SHARDS, 1)
                    .put(IndexMetadata.SETTING_NUMBER_OF_REPLICAS, 1)
                    .put("index.derived_source.enabled", derived)
                    .put("index.unassigned.node_left.delayed_timeout", "10m")
            )
            .setMapping(MAPPING)
            .get();
        ensureGreen("index");
        index(0, 20);
        client().admin().indices().prepareFlush("index").get();
        String replica = nodeOfTheReplica();
        internalCluster().restartNode(replica, new RestartCallback() {
            @Override
            public Settings onNodeStopped(String name) throws Exception {
                TokenVectorsRecoveryTests.this.index(10, 40);
                client().admin().indices().prepareFlush("index").setForce(true).get();
                return super.onNodeStopped(name);
            }
        });
        ensureGreen("index");
        assertTrue("operations were replayed", replayed(replica) > 0);
        client().admin().indices().prepareRefresh("index").get();
        Map<String, Object> one = blobs(nodes.get(0));
        assertEquals(40, one.size());
        assertEquals(one, blobs(nodes.get(1)));

        internalCluster().fullRestart();
        ensureGreen("index");
        client().admin().indices().prepareRefresh("index").get();
        assertEquals(one, blobs(nodes.get(0)));
        assertEquals(one, blobs(nodes.get(1)));
    }

    private static String nodeOfTheReplica() {
        ClusterState state = client().admin().cluster().prepareState().get().getState();
        ShardRouting replica = state.routingTable().index("index").shard(0).replicaShards().get(0);
        return state.nodes().get(replica.currentNodeId()).getName();
    }

    private static int replayed(String node) {
        int operations = 0;
        RecoveryResponse recoveries = client().admin().indices().prepareRecoveries("index").get();
        for (RecoveryState state : recoveries.shardRecoveryStates().get("index")) {
            if (state.getPrimary() == false && state.getTargetNode().getName().equals(node)) {
                operations += state.getTranslog().recoveredOperations();
            }
        }
        return operations;
    }

    /** The blobs of the copy on a node. */
    private static Map<String, Object> blobs(String node) {
        Map<String, Object> blobs = new HashMap<>();
        for (SearchHit hit : client(node).prepareSearch("index")
            .setPreference("_only_local")
            .setQuery(QueryBuilders.existsQuery("tv"))
            .setSize(100)
            .addDocValueField("tv")
            .get()
            .getHits()) {
            blobs.put(hit.getId(), hit.field("tv").getValue());
        }
        return blobs;
    }

    private void index(int from, int to) {
        for (int i = from; i < to; i++) {
            StringBuilder vectors = new StringBuilder();
            for (int j = 0; j < 3; j++) {
                vectors.append(j == 0 ? "[" : ",[").append(randomFloat());
                for (int k = 1; k < 5; k++) {
                    vectors.append(',').append(randomFloat());
                }
                vectors.append(']');
            }
            client().prepareIndex("index")
                .setId(Integer.toString(i))
                .setSource("{\"title\": \"t" + i + "\", \"tv\": [" + vectors + "]}", XContentType.JSON)
                .get();
        }
    }
}
