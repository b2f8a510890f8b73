package osmv;

import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.function.Supplier;
import org.opensearch.action.ActionRequest;
import org.opensearch.cluster.metadata.IndexNameExpressionResolver;
import org.opensearch.cluster.node.DiscoveryNodes;
import org.opensearch.cluster.service.ClusterService;
import org.opensearch.common.settings.ClusterSettings;
import org.opensearch.common.settings.IndexScopedSettings;
import org.opensearch.common.settings.Setting;
import org.opensearch.common.settings.Settings;
import org.opensearch.common.settings.SettingsFilter;
import org.opensearch.core.action.ActionResponse;
import org.opensearch.core.common.breaker.CircuitBreaker;
import org.opensearch.core.common.io.stream.NamedWriteableRegistry;
import org.opensearch.core.xcontent.NamedXContentRegistry;
import org.opensearch.env.Environment;
import org.opensearch.env.NodeEnvironment;
import org.opensearch.index.IndexModule;
import org.opensearch.index.mapper.Mapper;
import org.opensearch.index.mapper.MetadataFieldMapper;
import org.opensearch.indices.breaker.BreakerSettings;
import org.opensearch.monitor.jvm.JvmInfo;
import org.opensearch.plugins.ActionPlugin;
import org.opensearch.plugins.CircuitBreakerPlugin;
import org.opensearch.plugins.MapperPlugin;
import org.opensearch.plugins.Plugin;
import org.opensearch.plugins.SearchPlugin;
import org.opensearch.repositories.RepositoriesService;
import org.opensearch.rest.RestController;
import org.opensearch.rest.RestHandler;
import org.opensearch.script.ScriptService;
import org.opensearch.threadpool.ThreadPool;
import org.opensearch.transport.client.Client;
import org.opensearch.watcher.ResourceWatcherService;
import osmv.codebooks.Codebooks;
import osmv.field.StoredSource;
import osmv.field.TokenVectorsFieldMapper;
import osmv.field.TokenVectorsFieldType;
import osmv.query.MaxSimQueryBuilder;
import osmv.query.MaxSimRescorerBuilder;
import osmv.query.Searches;
import osmv.stats.RestStatsAction;
import osmv.stats.StatsAction;

/** Late interaction inside OpenSearch: what the plugin brings is registered here, and nothing else happens here. */
public final class MultiVectorPlugin extends Plugin implements MapperPlugin, SearchPlugin, ActionPlugin, CircuitBreakerPlugin {
    private final Searches searches = new Searches();
    private volatile int maxDocumentVectors = TokenVectorsFieldMapper.MAX_VECTORS.get(Settings.EMPTY);

    @Override
    public List<Setting<?>> getSettings() {
        return List.of(
            TokenVectorsFieldMapper.MAX_VECTORS,
            Searches.MAX_QUERY_VECTORS,
            Searches.MAX_WINDOW_SIZE,
            Codebooks.MAX_SIZE
        );
    }

    @Override
    public Map<String, Mapper.TypeParser> getMappers() {
        return Map.of(TokenVectorsFieldType.TYPE, TokenVectorsFieldMapper.parser(() -> maxDocumentVectors));
    }

    @Override
    public Map<String, MetadataFieldMapper.TypeParser> getMetadataMappers() {
        return Map.of(StoredSource.NAME, StoredSource.PARSER);
    }

    @Override
    public List<QuerySpec<?>> getQueries() {
        return List.of(
            new QuerySpec<>(
                MaxSimQueryBuilder.NAME,
                in -> new MaxSimQueryBuilder(in, searches),
                parser -> MaxSimQueryBuilder.parse(parser, searches)
            )
        );
    }

    @Override
    public List<RescorerSpec<?>> getRescorers() {
        return List.of(
            new RescorerSpec<>(
                MaxSimRescorerBuilder.NAME,
                in -> new MaxSimRescorerBuilder(in, searches),
                parser -> MaxSimRescorerBuilder.parse(parser, searches)
            )
        );
    }

    @Override
    public List<ActionHandler<? extends ActionRequest, ? extends ActionResponse>> getActions() {
        return List.of(new ActionHandler<>(StatsAction.TYPE, StatsAction.class));
    }

    @Override
    public List<RestHandler> getRestHandlers(
        Settings settings,
        RestController restController,
        ClusterSettings clusterSettings,
        IndexScopedSettings indexScopedSettings,
        SettingsFilter settingsFilter,
        IndexNameExpressionResolver indexNameExpressionResolver,
        Supplier<DiscoveryNodes> nodesInCluster
    ) {
        return List.of(new RestStatsAction());
    }

    @Override
    public void onIndexModule(IndexModule indexModule) {
        indexModule.addSearchOperationListener(searches);
    }

    /** A tenth of the heap, until {@code breaker.multivector.limit} says otherwise. */
    @Override
    public BreakerSettings getCircuitBreaker(Settings settings) {
        BreakerSettings standard = new BreakerSettings(
            StatsAction.BREAKER,
            JvmInfo.jvmInfo().getMem().getHeapMax().getBytes() / 10,
            1,
            CircuitBreaker.Type.MEMORY,
            CircuitBreaker.Durability.TRANSIENT
        );
        return BreakerSettings.updateFromSettings(standard, settings);
    }

    @Override
    public void setCircuitBreaker(CircuitBreaker circuitBreaker) {
        searches.breaker(circuitBreaker);
    }

    @Override
    public Collection<Object> createComponents(
        Client client,
        ClusterService clusterService,
        ThreadPool threadPool,
        ResourceWatcherService resourceWatcherService,
        ScriptService scriptService,
        NamedXContentRegistry xContentRegistry,
        Environment environment,
        NodeEnvironment nodeEnvironment,
        NamedWriteableRegistry namedWriteableRegistry,
        IndexNameExpressionResolver indexNameExpressionResolver,
        Supplier<RepositoriesService> repositoriesService
    ) {
        maxDocumentVectors = TokenVectorsFieldMapper.MAX_VECTORS.get(clusterService.getSettings());
        clusterService.getClusterSettings()
            .addSettingsUpdateConsumer(TokenVectorsFieldMapper.MAX_VECTORS, limit -> maxDocumentVectors = limit);
        searches.follow(clusterService.getSettings(), clusterService.getClusterSettings());
        return List.of(searches, searches.codebooks(), searches.counters());
    }
}
