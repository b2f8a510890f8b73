package osmv.stats;

import java.io.IOException;
import java.util.List;
import org.opensearch.action.ActionType;
import org.opensearch.action.FailedNodeException;
import org.opensearch.action.support.ActionFilters;
import org.opensearch.action.support.nodes.TransportNodesAction;
import org.opensearch.cluster.service.ClusterService;
import org.opensearch.common.inject.Inject;
import org.opensearch.core.common.io.stream.StreamInput;
import org.opensearch.core.indices.breaker.CircuitBreakerService;
import org.opensearch.threadpool.ThreadPool;
import org.opensearch.transport.TransportRequest;
import org.opensearch.transport.TransportService;
import osmv.codebooks.Codebooks;

/** Gathers the stats of the nodes. */
public final class StatsAction extends TransportNodesAction<StatsRequest, StatsResponse, StatsAction.NodeRequest, NodeStats> {
    private static final String NAME = "cluster:monitor/multivector/stats";
    public static final ActionType<StatsResponse> TYPE = new ActionType<>(NAME, StatsResponse::new);
    /** The circuit breaker's name. */
    public static final String BREAKER = "multivector";

    private final Counters counters;
    private final Codebooks codebooks;
    private final CircuitBreakerService breakers;

    @Inject
    public StatsAction(
        ThreadPool threadPool,
        ClusterService clusterService,
        TransportService transportService,
        ActionFilters actionFilters,
        Counters counters,
        Codebooks codebooks,
        CircuitBreakerService breakers
    ) {
        super(
            NAME,
            threadPool,
            clusterService,
            transportService,
            actionFilters,
            StatsRequest::new,
            NodeRequest::new,
            ThreadPool.Names.MANAGEMENT,
            NodeStats.class
        );
        this.counters = counters;
        this.codebooks = codebooks;
        this.breakers = breakers;
    }

    /** There is nothing to ask a node but this. */
    static final class NodeRequest extends TransportRequest {
        NodeRequest() {}

        NodeRequest(StreamInput in) throws IOException {
            super(in);
        }
    }

    @Override
    protected StatsResponse newResponse(StatsRequest request, List<NodeStats> nodes, List<FailedNodeException> failures) {
        return new StatsResponse(clusterService.getClusterName(), nodes, failures);
    }

    @Override
    protected NodeRequest newNodeRequest(StatsRequest request) {
        return new NodeRequest();
    }

    @Override
    protected NodeStats newNodeResponse(StreamInput in) throws IOException {
        return new NodeStats(in);
    }

    @Override
    protected NodeStats nodeOperation(NodeRequest request) {
        return new NodeStats(clusterService.localNode(), counters, codebooks, breakers.getBreaker(BREAKER));
    }
}
