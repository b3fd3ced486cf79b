//! `input` and `output` of a route: what a request must hold and an answer
//! holds, for agents that have never seen either.

use serde_json::{Map, Value};

use super::fields::Fields;
use super::method::Method;

use crate::json::json;

/// How long each may be, in bytes of JSON. It stands in the challenge's header,
/// which real clients take up to 3,000 bytes.
const MAX_SHAPE: usize = 1_024;

const KNOWN: &[&str] = &["schema", "example"];

/// What is sent or answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shape {
    /// A JSON Schema of it; of a query that of an object of its parameters.
    pub schema: Option<Value>,
    /// One of it.
    pub example: Option<Value>,
}

impl Shape {
    /// Reads one of a route's keys. It is told where routes are listed, and
    /// nowhere else.
    pub(super) fn read(fields: &Fields<'_>, name: &str, is_listed: bool) -> Option<Self> {
        let members = fields.table(name)?;
        if !is_listed {
            fields.fault(name, "has no effect without listed = true");
        }
        if let Some(unknown) = members.keys().find(|key| !KNOWN.contains(&key.as_str())) {
            fields.fault(name, format!("has no key {unknown:?}; it knows schema and example"));
        }
        let text = Value::Object(members.clone()).to_string();
        if text.len() > MAX_SHAPE {
            let problem = format!("has {} bytes of JSON; at most {MAX_SHAPE}", text.len());
            fields.fault(name, problem);
        }
        // They mark the gaps of a challenge. JSON writes controls as escapes.
        if text.contains(|c: char| ('\u{e000}'..='\u{f8ff}').contains(&c)) {
            fields.fault(name, "holds private-use characters");
        }
        let member = |key: &str| members.get(key).filter(|value| !value.is_null()).cloned();
        let schema = member("schema");
        if schema.as_ref().is_some_and(|schema| !schema.is_object()) {
            fields.fault(name, "must have a table as its schema: a JSON Schema");
        }
        Some(Self { schema, example: member("example") })
    }

    /// What its schema says of one thing; nothing if there is none.
    fn of_schema(&self, name: &str) -> Option<&Value> {
        self.schema.as_ref()?.get(name)
    }

    /// Whether the schema asks for a member.
    pub fn needs(&self, member: &str) -> bool {
        let required = self.of_schema("required").and_then(Value::as_array);
        required.is_some_and(|names| names.iter().any(|it| it == member))
    }

    /// Whether nothing that an empty object lacks is asked for.
    fn takes_nothing(&self) -> bool {
        self.of_schema("required").and_then(Value::as_array).is_none_or(Vec::is_empty)
    }

    /// The members of what it describes, by their names.
    pub fn properties(&self) -> Option<&Map<String, Value>> {
        self.of_schema("properties")?.as_object()
    }
}

/// Reads what a route takes and gives, which is listed under this method, if it
/// is.
pub(super) fn read_shapes(
    fields: &Fields<'_>,
    listed: Option<&Method>,
) -> (Option<Shape>, Option<Shape>) {
    let input = read_input(fields, listed.is_some(), listed.is_some_and(Method::has_body));
    (input, Shape::read(fields, "output", listed.is_some()))
}

/// A catalogue holds an example against the schema, and a request with a body
/// always has one.
fn read_input(fields: &Fields<'_>, is_listed: bool, has_body: bool) -> Option<Shape> {
    let input = Shape::read(fields, "input", is_listed)?;
    if input.example.is_none() && has_body && !input.takes_nothing() {
        fields.fault("input", "needs an example: its schema says that something is required");
    }
    if input.example.as_ref().is_some_and(|it| !it.is_object()) {
        fields.fault("input", "must have a table as its example: the parameters or the JSON body");
    }
    Some(input)
}

/// The extension `bazaar` of a route that is asked for by this method (x402
/// extension `bazaar`, "Schema Validation"): no more than its rules ask for and
/// the seller has said, because the header has a limit.
pub(super) fn bazaar(
    method: &str,
    has_body: bool,
    (input, output): (Option<&Shape>, Option<&Shape>),
    mime_type: &str,
) -> Value {
    let mut info = object(&[("type", json!("http")), ("method", json!(method))]);
    let mut properties =
        object(&[("type", json!({ "const": "http" })), ("method", json!({ "enum": [method] }))]);
    let mut required = vec!["type", "method"];
    let example = input.and_then(|it| it.example.clone());
    let schema = input.and_then(|it| it.schema.clone());
    if has_body {
        info.insert("bodyType".into(), json!("json"));
        info.insert("body".into(), example.unwrap_or_else(|| json!({})));
        properties.insert("bodyType".into(), json!({ "enum": ["json"] }));
        properties.insert("body".into(), schema.unwrap_or_else(|| json!({ "type": "object" })));
        required.extend(["bodyType", "body"]);
    } else {
        if let Some(example) = example {
            info.insert("queryParams".into(), example);
        }
        if let Some(schema) = schema {
            properties.insert("queryParams".into(), schema);
        }
    }
    let mut all = object(&[("input", info.into())]);
    let mut schemas = object(&[(
        "input",
        json!({ "type": "object", "properties": properties, "required": required }),
    )]);
    if let Some(Shape { schema, example }) = output {
        let is_json = mime_type.is_empty() || mime_type.contains("json");
        let mut said = object(&[("type", json!(if is_json { "json" } else { "text" }))]);
        let mut properties = object(&[("type", json!({ "type": "string" }))]);
        if let Some(example) = example {
            said.insert("example".into(), example.clone());
        }
        if let Some(schema) = schema {
            properties.insert("example".into(), schema.clone());
        }
        all.insert("output".into(), said.into());
        let output = json!({ "type": "object", "properties": properties, "required": ["type"] });
        schemas.insert("output".into(), output);
    }
    json!({
        "info": all,
        "schema": { "type": "object", "properties": schemas, "required": ["input"] },
    })
}

/// One by one: to collect into a map means to sort, and brings the code for it.
fn object(members: &[(&str, Value)]) -> Map<String, Value> {
    let mut object = Map::new();
    for (name, value) in members {
        object.insert((*name).to_owned(), value.clone());
    }
    object
}
