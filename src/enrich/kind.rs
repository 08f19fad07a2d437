//! What a span can be.

/// What a span stands for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A call of a language model.
    Llm,
    /// A call of an embedding model.
    Embedding,
    /// A call of a reranking model.
    Rerank,
    /// A call of a model for images or sound.
    Media,
    /// An agent, or one step of it.
    Agent,
    /// A workflow, a task, a step.
    Chain,
    /// A tool at work.
    Tool,
    /// A search in documents.
    Retrieval,
    /// An access to an agent's memory.
    Memory,
    /// A check of input or output.
    Guardrail,
    /// A judgement of an answer.
    Evaluator,
    /// The making of a prompt.
    Prompt,
    /// A raw copy of a call that another span stands for.
    Raw,
    /// None of these.
    #[default]
    None,
}

impl Kind {
    /// Its name in `span_facts`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Kind::Llm => "llm",
            Kind::Embedding => "embedding",
            Kind::Rerank => "rerank",
            Kind::Media => "media",
            Kind::Agent => "agent",
            Kind::Chain => "chain",
            Kind::Tool => "tool",
            Kind::Retrieval => "retrieval",
            Kind::Memory => "memory",
            Kind::Guardrail => "guardrail",
            Kind::Evaluator => "evaluator",
            Kind::Prompt => "prompt",
            Kind::Raw => "raw",
            Kind::None => "none",
        }
    }

    /// Whether it is a call that a provider bills. All other kinds are containers or cost nothing by themselves.
    pub const fn is_priced(self) -> bool {
        matches!(self, Kind::Llm | Kind::Embedding | Kind::Rerank | Kind::Media)
    }
}
