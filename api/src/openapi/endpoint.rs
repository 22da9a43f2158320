//! A row of the table of endpoints, and the operation of the document that it becomes.

use utoipa::openapi::path::{
    HttpMethod, OperationBuilder, Parameter, ParameterBuilder, ParameterIn, PathItem,
};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::schema::{Array, Object, ObjectBuilder, SchemaType, Type};
use utoipa::openapi::security::SecurityRequirement;
use utoipa::openapi::{ContentBuilder, Ref, RefOr, Required, ResponseBuilder, Schema};
use utoipa::{PartialSchema, ToSchema};

use super::commands::EVENTS;

/// The name of the one security scheme.
pub(super) const BASIC: &str = "basicAuth";

type Schemas = Vec<(String, RefOr<Schema>)>;

/// Adds a schema and all that it refers to, and refers to it.
type SchemaOf = fn(&mut Schemas) -> RefOr<Schema>;

fn schema_of<T: ToSchema>(schemas: &mut Schemas) -> RefOr<Schema> {
    let name = T::name().into_owned();
    schemas.push((name.clone(), T::schema()));
    T::schemas(schemas);
    RefOr::Ref(Ref::from_schema_name(name))
}

fn inline<T: PartialSchema>(_: &mut Schemas) -> RefOr<Schema> {
    T::schema()
}

/// Who may ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Caller {
    /// A device, by its credentials.
    Device,
    /// A device, or somebody who shows something else.
    Anybody,
    /// Whoever does not show credentials.
    Nobody,
    /// Credentials that the caller has just made up.
    Newcomer,
}

/// A row.
#[derive(Clone)]
pub struct Endpoint {
    method: HttpMethod,
    verb: &'static str,
    path: &'static str,
    id: &'static str,
    tag: &'static str,
    summary: &'static str,
    caller: Caller,
    parameters: Vec<Parameter>,
    body: Option<(SchemaOf, &'static str)>,
    answers: Vec<(u16, &'static str, Option<SchemaOf>)>,
    /// Schemas that no body refers to.
    more: Vec<SchemaOf>,
    commands: Vec<&'static str>,
    models: Vec<&'static str>,
}

macro_rules! verbs {
    ($($name:ident $method:ident $verb:literal)*) => {$(
        #[doc = concat!("A row for ", $verb, ".")]
        pub(super) fn $name(path: &'static str, id: &'static str) -> Endpoint {
            Endpoint::new(HttpMethod::$method, $verb, path, id)
        }
    )*};
}

verbs! {
    get Get "GET"
    head Head "HEAD"
    put Put "PUT"
    post Post "POST"
    patch Patch "PATCH"
    delete Delete "DELETE"
}

/// A text parameter.
fn text(name: &str, place: ParameterIn, description: &str) -> ParameterBuilder {
    ParameterBuilder::new()
        .name(name)
        .parameter_in(place)
        .description(Some(description))
        .schema(Some(ObjectBuilder::new().schema_type(Type::String)))
}

impl Endpoint {
    fn new(method: HttpMethod, verb: &'static str, path: &'static str, id: &'static str) -> Self {
        Self {
            method,
            verb,
            path,
            id,
            tag: "Server",
            summary: "",
            caller: Caller::Device,
            parameters: Vec::new(),
            body: None,
            answers: Vec::new(),
            more: Vec::new(),
            commands: Vec::new(),
            models: Vec::new(),
        }
    }

    /// What it does, in a few words, and among which others.
    pub(super) fn says(mut self, tag: &'static str, summary: &'static str) -> Self {
        (self.tag, self.summary) = (tag, summary);
        self
    }

    pub(super) fn for_anybody(mut self) -> Self {
        self.caller = Caller::Anybody;
        self
    }

    pub(super) fn for_nobody(mut self) -> Self {
        self.caller = Caller::Nobody;
        self
    }

    pub(super) fn for_newcomers(mut self) -> Self {
        self.caller = Caller::Newcomer;
        self
    }

    /// A text in the path.
    pub(super) fn segment(mut self, name: &'static str, description: &'static str) -> Self {
        let segment = text(name, ParameterIn::Path, description).required(Required::True);
        self.parameters.push(segment.build());
        self
    }

    /// A text in the query, which may be missing.
    pub(super) fn query(mut self, name: &'static str, description: &'static str) -> Self {
        let query = text(name, ParameterIn::Query, description).required(Required::False);
        self.parameters.push(query.build());
        self
    }

    /// A header, which may be missing.
    pub(super) fn header(mut self, name: &'static str, description: &'static str) -> Self {
        let header = text(name, ParameterIn::Header, description).required(Required::False);
        self.parameters.push(header.build());
        self
    }

    /// The JSON body.
    pub(super) fn takes<T: ToSchema>(mut self) -> Self {
        self.body = Some((schema_of::<T>, "application/json"));
        self
    }

    /// A body of another kind.
    pub(super) fn takes_bytes(mut self, media_type: &'static str) -> Self {
        self.body = Some((
            |_| {
                let bytes = ObjectBuilder::new().schema_type(SchemaType::AnyValue);
                RefOr::T(Schema::Object(bytes.build()))
            },
            media_type,
        ));
        self
    }

    /// An answer with a JSON body.
    pub(super) fn answers<T: ToSchema>(self, status: u16, when: &'static str) -> Self {
        self.answer(status, when, Some(schema_of::<T>))
    }

    /// An answer with a JSON body that has no name.
    pub(super) fn answers_inline<T: PartialSchema>(self, status: u16, when: &'static str) -> Self {
        self.answer(status, when, Some(inline::<T>))
    }

    /// An answer whose JSON body is left out where there is nothing to say. The document cannot tell that of a body, so it
    /// names none, and holds its schema.
    pub(super) fn answers_maybe<T: ToSchema>(mut self, status: u16, when: &'static str) -> Self {
        self.more.push(schema_of::<T>);
        self.answer(status, when, None)
    }

    /// An answer without a body, or a refusal with one of the bodies that all refusals have.
    pub(super) fn says_so(self, status: u16, when: &'static str) -> Self {
        self.answer(status, when, None)
    }

    fn answer(mut self, status: u16, when: &'static str, schema: Option<SchemaOf>) -> Self {
        self.answers.retain(|(known, ..)| *known != status);
        self.answers.push((status, when, schema));
        self
    }

    /// The commands that it runs.
    pub(super) fn runs<const N: usize>(mut self, commands: [&'static str; N]) -> Self {
        self.commands = commands.into();
        self
    }

    /// The read models that it waits for, or answers from.
    pub(super) fn shows<const N: usize>(mut self, models: [&'static str; N]) -> Self {
        self.models = models.into();
        self
    }

    /// `GET` and so on.
    pub fn verb(&self) -> &'static str {
        self.verb
    }

    /// The path, with its parameters in braces.
    pub fn path(&self) -> &'static str {
        self.path
    }

    /// The commands.
    pub fn commands(&self) -> &[&'static str] {
        &self.commands
    }

    /// The events that the commands may append.
    pub fn events(&self) -> Vec<&'static str> {
        let own = EVENTS
            .iter()
            .filter(|(command, _)| self.commands.contains(command));
        let mut events: Vec<_> = own.flat_map(|(_, events)| events.iter().copied()).collect();
        events.sort_unstable();
        events.dedup();
        events
    }

    /// The read models.
    pub fn models(&self) -> &[&'static str] {
        &self.models
    }

    /// The statuses that follow from what the endpoint is, whatever it does.
    fn common(&self) -> Vec<(u16, &'static str)> {
        let mut common = vec![
            (
                400,
                "The request is malformed, or a parameter breaks its rule.",
            ),
            (429, "Too many calls; `Retry-After` tells how long to wait."),
            (499, "The client is too old."),
            (500, "The server has a bug; the body has an id of the log."),
            (
                503,
                "Something that the server needs is not there; try again later.",
            ),
        ];
        match self.caller {
            Caller::Device => common.push((401, "The credentials are missing or wrong.")),
            Caller::Newcomer => common.push((401, "The credentials are malformed.")),
            Caller::Anybody => common.push((
                401,
                "Neither credentials nor anything else that opens the account.",
            )),
            Caller::Nobody => {}
        }
        if self.path.contains('{') {
            common.push((404, "There is no such thing."));
        }
        if self.body.is_some() {
            common.extend([
                (408, "The body takes too long."),
                (413, "The body is too large."),
                (415, "The body is of another media type."),
                (422, "The body has another shape, or breaks a rule."),
            ]);
        } else if self.verb != "GET" && self.verb != "HEAD" {
            common.extend([
                (408, "The body takes too long."),
                (413, "The body is too large."),
                (422, "The `Idempotency-Key` was used for another request."),
            ]);
        }
        common
    }

    fn operation(&self, schemas: &mut Schemas) -> OperationBuilder {
        let mut operation = OperationBuilder::new()
            .operation_id(Some(self.id))
            .summary(Some(self.summary))
            .tag(self.tag);
        for parameter in &self.parameters {
            operation = operation.parameter(parameter.clone());
        }
        if let Some((schema, media_type)) = self.body {
            let content = ContentBuilder::new().schema(Some(schema(schemas))).build();
            let body = RequestBodyBuilder::new()
                .required(Some(Required::True))
                .content(media_type, content);
            operation = operation.request_body(Some(body.build()));
        }
        let mut answers: Vec<(u16, &str, Option<SchemaOf>)> = self.answers.clone();
        for (status, when) in self.common() {
            if answers.iter().all(|(known, ..)| *known != status) {
                answers.push((status, when, None));
            }
        }
        for schema in &self.more {
            schema(schemas);
        }
        answers.sort_unstable_by_key(|(status, ..)| *status);
        for (status, when, schema) in answers {
            let mut response = ResponseBuilder::new().description(when);
            if let Some(schema) = schema {
                let content = ContentBuilder::new().schema(Some(schema(schemas))).build();
                response = response.content("application/json", content);
            }
            operation = operation.response(status.to_string(), response.build());
        }
        match self.caller {
            Caller::Device => {
                operation.security(SecurityRequirement::new::<_, [&str; 0], &str>(BASIC, []))
            }
            // What newcomers send is a name and a password of their choice: no credentials, but a parameter, without which
            // the request is malformed (400).
            Caller::Anybody | Caller::Newcomer => operation
                .security(SecurityRequirement::new::<_, [&str; 0], &str>(BASIC, []))
                .security(SecurityRequirement::default()),
            Caller::Nobody => operation.securities(Some([])),
        }
    }

    pub(super) fn item(&self, schemas: &mut Schemas) -> PathItem {
        PathItem::new(self.method.clone(), self.operation(schemas))
    }
}

/// Any JSON object.
pub(super) struct AnyObject;

impl PartialSchema for AnyObject {
    fn schema() -> RefOr<Schema> {
        RefOr::T(Schema::Object(Object::new()))
    }
}

/// Any JSON array.
pub(super) struct AnyList;

impl PartialSchema for AnyList {
    fn schema() -> RefOr<Schema> {
        RefOr::T(Schema::Array(Array::new(AnyObject::schema())))
    }
}
