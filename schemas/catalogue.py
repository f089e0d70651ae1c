"""The list of event types. A new type is one file in ``schemas/events`` and one line here."""

from types import MappingProxyType

from schemas.data import EventData
from schemas.events.agent_run import AgentRun
from schemas.events.audit_action import AuditAction
from schemas.events.evaluation_score import EvaluationScore
from schemas.events.experiment_exposure import ExperimentExposure
from schemas.events.feedback_rating import FeedbackRating
from schemas.events.gateway_rate_limit import GatewayRateLimit
from schemas.events.gateway_route import GatewayRoute
from schemas.events.guardrail_check import GuardrailCheck
from schemas.events.job_run import JobRun
from schemas.events.llm_embedding import LlmEmbedding
from schemas.events.llm_request import LlmRequest
from schemas.events.log_record import LogRecord
from schemas.events.marketplace_action import MarketplaceAction
from schemas.events.metric_sample import MetricSample
from schemas.events.product_event import ProductEvent
from schemas.events.registry_deployment import RegistryDeployment
from schemas.events.registry_model import RegistryModel
from schemas.events.retrieval_query import RetrievalQuery
from schemas.events.serving_sample import ServingSample
from schemas.events.span import Span
from schemas.events.tool_call import ToolCall

#: In the order of the documentation.
EVENT_MODELS: tuple[type[EventData], ...] = (
    LlmRequest,
    LlmEmbedding,
    ToolCall,
    AgentRun,
    Span,
    LogRecord,
    MetricSample,
    GatewayRoute,
    GatewayRateLimit,
    RegistryModel,
    RegistryDeployment,
    GuardrailCheck,
    AuditAction,
    MarketplaceAction,
    RetrievalQuery,
    ServingSample,
    EvaluationScore,
    FeedbackRating,
    JobRun,
    ProductEvent,
    ExperimentExposure,
)

#: Event type → model of its ``data``.
EVENT_TYPES: MappingProxyType[str, type[EventData]] = MappingProxyType({model.TYPE: model for model in EVENT_MODELS})
