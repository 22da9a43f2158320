//! Makes Rust out of the rules that stand as options in the descriptions (`require.proto`): an implementation of
//! `Check` for each message that a client can send.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use protox::prost_reflect::{
    DescriptorPool, DynamicMessage, ExtensionDescriptor, FieldDescriptor, Kind, MessageDescriptor,
    OneofDescriptor, Value,
};

type Failed = Box<dyn std::error::Error>;

/// The extensions that hold rules, by their names.
struct Rules(BTreeMap<&'static str, ExtensionDescriptor>);

const NAMES: [&str; 8] = [
    "nonEmpty",
    "specified",
    "size",
    "exactlySize",
    "e164",
    "range",
    "present",
    "identityType",
];

/// Checks for all that can be reached from a request of a service.
pub(crate) fn generate(pool: &DescriptorPool) -> Result<String, Failed> {
    let find = |name: &'static str| {
        let extension = pool.get_extension_by_name(&format!("org.signal.chat.require.{name}"));
        extension
            .map(|extension| (name, extension))
            .ok_or_else(|| format!("no option {name}"))
    };
    let names = NAMES.into_iter().chain(["each"]);
    let rules = Rules(names.map(find).collect::<Result<_, _>>()?);
    let mut messages = BTreeMap::new();
    let methods = pool.services().flat_map(|service| {
        let methods: Vec<_> = service.methods().collect();
        methods
    });
    for method in methods {
        reach(&mut messages, &method.input());
    }
    let mut code = String::new();
    for message in messages.values() {
        rules.check(&mut code, message)?;
    }
    Ok(code)
}

fn reach(messages: &mut BTreeMap<String, MessageDescriptor>, message: &MessageDescriptor) {
    let is_entry = message.is_map_entry();
    let name = message.full_name();
    if !is_entry && (!name.starts_with("org.signal.chat.") || messages.contains_key(name)) {
        return;
    }
    if !is_entry {
        messages.insert(name.to_owned(), message.clone());
    }
    for field in message.fields() {
        if let Kind::Message(inner) = field.kind() {
            reach(messages, &inner);
        }
    }
}

/// What is known of a field's rules: the options that are set.
struct Constraints<'a> {
    field: FieldDescriptor,
    set: BTreeMap<&'a str, Value>,
}

impl Rules {
    fn check(&self, code: &mut String, message: &MessageDescriptor) -> Result<(), Failed> {
        let name = rust_type(message);
        let mut body = String::new();
        let mut done = Vec::new();
        for field in message.fields().collect::<Vec<_>>() {
            let oneof = field.containing_oneof().filter(|oneof| !is_optional(oneof));
            match oneof {
                None => body += &self.field(field)?,
                Some(oneof) if done.contains(&oneof.full_name().to_owned()) => {}
                Some(oneof) => {
                    body += &self.oneof(message, &oneof)?;
                    done.push(oneof.full_name().to_owned());
                }
            }
        }
        write!(
            code,
            "impl Check for {name} {{\n    fn check(&self) -> Result<(), Violation> {{\n{body}        Ok(())\n    }}\n}}\n\n"
        )?;
        Ok(())
    }

    fn constraints(&self, field: FieldDescriptor) -> Constraints<'_> {
        let options = field.options();
        let set = self
            .0
            .iter()
            .filter(|(_, extension)| options.has_extension(extension))
            .map(|(name, extension)| (*name, options.get_extension(extension).into_owned()))
            .collect();
        Constraints { field, set }
    }

    fn field(&self, field: FieldDescriptor) -> Result<String, Failed> {
        let place = format!("self.{}", rust_field(field.name()));
        let (is_list, is_map) = (field.is_list(), field.is_map());
        let optional = field.supports_presence();
        let constraints = self.constraints(field);
        let mut code = String::new();
        if is_list || is_map {
            constraints.measured(&mut code, &format!("{place}.len()"))?;
            constraints.elements(&mut code, &place, is_map)?;
            return Ok(code);
        }
        if let Kind::Message(inner) = constraints.field.kind() {
            if constraints.set.contains_key("present") {
                constraints.line(&mut code, &format!("present({{}}, {place}.is_some())"))?;
            }
            if inner.full_name().starts_with("org.signal.chat.") {
                writeln!(
                    code,
                    "        if let Some(inner) = &{place} {{\n            inner.check()?;"
                )?;
                constraints.identity(&mut code, "inner")?;
                writeln!(code, "        }}")?;
            }
            return Ok(code);
        }
        if optional {
            let inner = constraints.scalar("*value")?;
            if !inner.is_empty() {
                write!(
                    code,
                    "        if let Some(value) = &{place} {{\n{inner}        }}\n"
                )?;
            }
            return Ok(code);
        }
        constraints.scalar(&place)
    }

    /// Of a oneof only the member that is set is checked.
    fn oneof(
        &self,
        message: &MessageDescriptor,
        oneof: &OneofDescriptor,
    ) -> Result<String, Failed> {
        let rust_enum = format!(
            "{}::{}::{}",
            rust_module(message),
            snake(message.name()),
            pascal(oneof.name())
        );
        let mut arms = String::new();
        for member in oneof.fields() {
            let variant = pascal(member.name());
            let constraints = self.constraints(member);
            let inner = match constraints.field.kind() {
                Kind::Message(inner) if inner.full_name().starts_with("org.signal.chat.") => {
                    "            value.check()?;\n".to_owned()
                }
                Kind::Message(_) => String::new(),
                _ => constraints.scalar("value")?,
            };
            if !inner.is_empty() {
                write!(
                    arms,
                    "            Some({rust_enum}::{variant}(value)) => {{\n{inner}            }}\n"
                )?;
            }
        }
        let place = rust_field(oneof.name());
        if arms.is_empty() {
            return Ok(arms);
        }
        Ok(format!(
            "        match &self.{place} {{\n{arms}            _ => {{}}\n        }}\n"
        ))
    }
}

impl Constraints<'_> {
    fn name(&self) -> String {
        format!("{:?}", self.field.name())
    }

    /// A check: `call` has `{}` where the field's name goes.
    fn line(&self, code: &mut String, call: &str) -> Result<(), Failed> {
        writeln!(code, "        {}?;", call.replace("{}", &self.name()))?;
        Ok(())
    }

    /// Rules about a size.
    fn measured(&self, code: &mut String, size: &str) -> Result<(), Failed> {
        measured(code, &self.name(), size, &self.set)
    }

    fn scalar(&self, place: &str) -> Result<String, Failed> {
        let mut code = String::new();
        scalar(
            &mut code,
            &self.name(),
            &self.field.kind(),
            place,
            &self.set,
        )?;
        Ok(code)
    }

    fn identity(&self, code: &mut String, place: &str) -> Result<(), Failed> {
        if let Some(kind) = self.set.get("identityType").and_then(Value::as_enum_number) {
            self.line(
                code,
                &format!("identity_type({{}}, {place}.identity_type, {kind})"),
            )?;
        }
        Ok(())
    }

    /// Rules about elements, and what they are made of.
    fn elements(&self, code: &mut String, place: &str, is_map: bool) -> Result<(), Failed> {
        let kind = if is_map {
            let entry = self.field.kind();
            let entry = entry.as_message().ok_or("a map has entries")?.clone();
            entry.map_entry_value_field().kind()
        } else {
            self.field.kind()
        };
        let values = if is_map { ".values()" } else { ".iter()" };
        let mut inner = String::new();
        if let Kind::Message(message) = &kind {
            if message.full_name().starts_with("org.signal.chat.") {
                writeln!(inner, "            element.check()?;")?;
            }
        } else if let Some(each) = self.set.get("each").and_then(Value::as_message) {
            let set = each_rules(each);
            scalar(&mut inner, &self.name(), &kind, "*element", &set)?;
        }
        if !inner.is_empty() {
            write!(
                code,
                "        for element in {place}{values} {{\n{inner}        }}\n"
            )?;
        }
        Ok(())
    }
}

/// The rules for elements go by the same names as those for fields.
fn each_rules(each: &DynamicMessage) -> BTreeMap<&'static str, Value> {
    let set = NAMES
        .into_iter()
        .filter(|name| each.has_field_by_name(name));
    set.filter_map(|name| Some((name, each.get_field_by_name(name)?.into_owned())))
        .collect()
}

fn measured(
    code: &mut String,
    name: &str,
    size: &str,
    set: &BTreeMap<&str, Value>,
) -> Result<(), Failed> {
    if set.contains_key("nonEmpty") {
        writeln!(code, "        non_empty({name}, {size})?;")?;
    }
    if let Some(range) = set.get("size").and_then(Value::as_message) {
        let bound = |name: &str| {
            let bound = range
                .get_field_by_name(name)
                .filter(|_| range.has_field_by_name(name));
            bound.and_then(|bound| bound.as_u32())
        };
        let (min, max) = (bound("min").unwrap_or(0), bound("max").unwrap_or(u32::MAX));
        writeln!(code, "        size({name}, {size}, {min}..={max})?;")?;
    }
    if let Some(sizes) = set.get("exactlySize").and_then(Value::as_list) {
        let sizes: Vec<_> = sizes.iter().filter_map(Value::as_u32).collect();
        writeln!(code, "        exactly_size({name}, {size}, &{sizes:?})?;")?;
    }
    Ok(())
}

/// Rules about a value that stands at `place`.
fn scalar(
    code: &mut String,
    name: &str,
    kind: &Kind,
    place: &str,
    set: &BTreeMap<&str, Value>,
) -> Result<(), Failed> {
    let owned = place.trim_start_matches('*');
    match kind {
        Kind::String => measured(code, name, &format!("utf16({owned}.as_ref())"), set)?,
        Kind::Bytes => measured(code, name, &format!("{owned}.len()"), set)?,
        _ => {}
    }
    if set.contains_key("e164") {
        writeln!(code, "        e164({name}, {owned}.as_ref())?;")?;
    }
    if set.contains_key("specified") {
        let kind = kind.as_enum().ok_or("only enumerations are specified")?;
        let numbers: Vec<_> = kind.values().map(|value| value.number()).collect();
        writeln!(code, "        specified({name}, {place}, &{numbers:?})?;")?;
    }
    if let Some(range) = set.get("range").and_then(Value::as_message) {
        let bound = |name: &str| {
            let bound = range
                .get_field_by_name(name)
                .filter(|_| range.has_field_by_name(name));
            bound.and_then(|bound| bound.as_i64())
        };
        let (min, max) = (
            bound("min").unwrap_or(i64::MIN),
            bound("max").unwrap_or(i64::MAX),
        );
        writeln!(code, "        range({name}, {place}, {min}..={max})?;")?;
    }
    Ok(())
}

/// Proto3's `optional` is a oneof with one member, which nobody sees.
fn is_optional(oneof: &OneofDescriptor) -> bool {
    oneof.is_synthetic()
}

fn rust_module(message: &MessageDescriptor) -> String {
    let package = message.package_name().replace('.', "::");
    match message.parent_message() {
        None => package,
        Some(parent) => format!("{}::{}", rust_module(&parent), snake(parent.name())),
    }
}

fn rust_type(message: &MessageDescriptor) -> String {
    format!("{}::{}", rust_module(message), pascal(message.name()))
}

fn rust_field(name: &str) -> String {
    match snake(name).as_str() {
        "type" => "r#type".to_owned(),
        other => other.to_owned(),
    }
}

/// `uploadLength` and `UploadLength` become `upload_length`; a row of capitals is one word.
fn snake(name: &str) -> String {
    let letters: Vec<char> = name.chars().collect();
    let mut snake = String::new();
    for (at, letter) in letters.iter().enumerate() {
        let after_small = at > 0 && !letters[at - 1].is_uppercase() && letters[at - 1] != '_';
        let before_small = letters.get(at + 1).is_some_and(|next| next.is_lowercase());
        if letter.is_uppercase()
            && at > 0
            && letters[at - 1] != '_'
            && (after_small || before_small)
        {
            snake.push('_');
        }
        snake.extend(letter.to_lowercase());
    }
    snake
}

fn pascal(name: &str) -> String {
    let words = snake(name);
    let words = words.split('_').map(|word| {
        let mut letters = word.chars();
        let first = letters.next().map(|first| first.to_ascii_uppercase());
        first.into_iter().chain(letters).collect::<String>()
    });
    words.collect()
}
