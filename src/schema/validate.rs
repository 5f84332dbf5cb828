//! Validation against the full schema. The only module that knows the `jsonschema` crate, which breaks its
//! interface about twice a month.

use std::fmt;

use jsonschema::error::{TypeKind, ValidationErrorKind as Kind};
use jsonschema::{Draft, JsonType, ValidationError};
use serde_json::{Value, json};

use super::violation::Violation;
use super::{recursion_guard, traverse};

/// More faults than this in one value do not help a model that is asked again, and cost tokens.
const MAX_VIOLATIONS: usize = 16;
/// An `enum` is spelled out in a message up to this many characters.
const MAX_LISTED_CHARS: usize = 400;
/// Alternatives of an `anyOf` whose failures are told one by one.
const MAX_ALTERNATIVES: usize = 4;
/// How deep alternatives inside alternatives are unfolded.
const MAX_UNFOLDING: usize = 4;

/// A schema compiled once, for any number of values.
pub(super) struct Validator {
    compiled: jsonschema::Validator,
    is_recursive: bool,
}

impl fmt::Debug for Validator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Validator")
    }
}

impl Validator {
    /// Compiles `schema` as draft 2020-12, after checking it against the meta-schema.
    ///
    /// A violation's path is a place in the schema.
    pub(super) fn new(schema: &Value, assert_formats: bool) -> Result<Self, Vec<Violation>> {
        let faults = violations(
            jsonschema::draft202012::meta::validator().iter_errors(schema),
            None,
        );
        if !faults.is_empty() {
            return Err(faults);
        }
        jsonschema::options()
            .with_draft(Draft::Draft202012)
            .offline()
            .should_validate_formats(assert_formats)
            // Derived schemas name formats of their own, such as `uint8`; they are annotations.
            .should_ignore_unknown_formats(true)
            .build(schema)
            .map(|compiled| Self {
                compiled,
                is_recursive: recursion_guard::is_recursive(schema),
            })
            .map_err(|error| violations(std::iter::once(error), None))
    }

    /// Checks `value`; `schema` is the one compiled, read to say what was expected.
    pub(super) fn validate(&self, schema: &Value, value: &Value) -> Result<(), Vec<Violation>> {
        if self.is_recursive && !recursion_guard::are_few(schema, value) {
            // Values that have the form are seldom invalid, and for valid ones the first way is taken.
            if recursion_guard::has_form(schema, value) && self.compiled.is_valid(value) {
                return Ok(());
            }
            let expected = "must match the schema, and is nested too deep in alternatives to say where it does not";
            return Err(vec![Violation::new("", "anyOf", expected)]);
        }
        // Telling valid from invalid takes a tenth of the time of collecting errors.
        if self.compiled.is_valid(value) {
            return Ok(());
        }
        Err(violations(self.compiled.iter_errors(value), Some(schema)))
    }
}

/// A part of a schema compiled on its own, which says yes or no.
#[derive(Debug)]
pub(crate) struct PartValidator(jsonschema::Validator);

impl PartValidator {
    /// Compiles `part`, whose references lead into `root`; `None` if it is no schema of draft 2020-12.
    pub(crate) fn new(part: &Value, root: &Value) -> Option<Self> {
        let (mut whole, mut root) = (json!({ "allOf": [part] }), super::compilable(root));
        let mut refers = false;
        let mut lead_inside = |reference: &str| {
            refers = true;
            let below = reference.strip_prefix('#')?;
            let is_pointer = below.is_empty() || below.starts_with('/');
            is_pointer.then(|| format!("#/$defs/root{below}"))
        };
        traverse::each_reference_mut(&mut whole, &mut lead_inside);
        traverse::each_reference_mut(&mut root, &mut lead_inside);
        if refers {
            whole["$defs"] = json!({ "root": root });
        }
        let validator = Validator::new(&whole, false).ok()?;
        Some(Self(validator.compiled))
    }

    pub(crate) fn is_valid(&self, value: &Value) -> bool {
        self.0.is_valid(value)
    }
}

fn violations<'a>(
    errors: impl Iterator<Item = ValidationError<'a>>,
    schema: Option<&Value>,
) -> Vec<Violation> {
    let mut found = Vec::new();
    for error in errors {
        push(&error, schema, 0, &mut found);
        if found.len() >= MAX_VIOLATIONS {
            break;
        }
    }
    found.truncate(MAX_VIOLATIONS);
    found
}

fn push(
    error: &ValidationError<'_>,
    schema: Option<&Value>,
    unfolded: usize,
    found: &mut Vec<Violation>,
) {
    let (Kind::AnyOf { context } | Kind::OneOfNotValid { context }) = error.kind() else {
        let violation = Violation::new(
            error.instance_path().as_str(),
            error.kind().keyword(),
            expected(error, schema),
        );
        if !found.contains(&violation) {
            found.push(violation);
        }
        return;
    };
    let closest = closest_alternatives(error, context);
    if let [only] = closest.as_slice()
        && unfolded < MAX_UNFOLDING
    {
        for inner in *only {
            push(inner, schema, unfolded + 1, found);
        }
        return;
    }
    let mut alternatives = Vec::new();
    for alternative in closest.iter().take(MAX_ALTERNATIVES) {
        let mut inside = Vec::new();
        if unfolded < MAX_UNFOLDING {
            for inner in *alternative {
                push(inner, schema, unfolded + 1, &mut inside);
            }
        }
        let told = told_from(error.instance_path().as_str(), &inside);
        if !told.is_empty() && !alternatives.contains(&told) {
            alternatives.push(told);
        }
    }
    let told = if alternatives.is_empty() {
        format!("must match one of {} alternatives", context.len())
    } else {
        let mut told = alternatives.join(", or ");
        if closest.len() > MAX_ALTERNATIVES {
            told.push_str(", or match a further alternative");
        }
        told
    };
    found.push(Violation::new(
        error.instance_path().as_str(),
        error.kind().keyword(),
        told,
    ));
}

/// Returns the alternatives the value was probably meant for.
///
/// A string that is too long for `string | null` was meant as the string; an object whose `kind` says
/// `circle` was meant as the circle. Such an alternative fails neither on the type of the value as a
/// whole nor on a constant just below it.
fn closest_alternatives<'c, 'e>(
    error: &ValidationError<'_>,
    context: &'c [Vec<ValidationError<'e>>],
) -> Vec<&'c Vec<ValidationError<'e>>> {
    let here = error.instance_path().as_str();
    let is_other = |inner: &ValidationError<'_>| {
        let below = inner.instance_path().as_str().strip_prefix(here);
        let depth = below.map_or(usize::MAX, |below| below.matches('/').count());
        match inner.kind() {
            Kind::Type { .. } | Kind::FalseSchema => depth == 0,
            Kind::Constant { .. } | Kind::Enum { .. } => depth <= 1,
            _ => false,
        }
    };
    let close: Vec<_> = context
        .iter()
        .filter(|alternative| !alternative.iter().any(is_other))
        .collect();
    if close.is_empty() {
        context.iter().collect()
    } else {
        close
    }
}

/// Puts the faults of one alternative into one phrase, the places relative to `here`.
fn told_from(here: &str, inside: &[Violation]) -> String {
    let phrases: Vec<String> = inside
        .iter()
        .map(|violation| match violation.path.strip_prefix(here) {
            Some("") => violation.expected.clone(),
            Some(below) => format!(
                "`{}` {}",
                super::violation::readable(below),
                violation.expected
            ),
            None => violation.to_string(),
        })
        .collect();
    phrases.join(" and ")
}

fn expected(error: &ValidationError<'_>, schema: Option<&Value>) -> String {
    match error.kind() {
        Kind::AdditionalProperties { .. } | Kind::UnevaluatedProperties { .. } => {
            match known_properties(error, schema) {
                Some(names) => format!("must have no properties but {names}"),
                None => "must have no properties beyond those of the schema".to_owned(),
            }
        }
        Kind::AdditionalItems { limit } => format!("must have at most {limit} items"),
        Kind::UnevaluatedItems { .. } => "must have no items beyond those of the schema".to_owned(),
        Kind::AnyOf { context } | Kind::OneOfNotValid { context } => {
            format!("must match one of {} alternatives", context.len())
        }
        Kind::OneOfMultipleValid { context } => format!(
            "must match exactly one of {} alternatives, and matches several",
            context.len()
        ),
        Kind::Constant { expected_value } => {
            format!("must be {}", listed(std::slice::from_ref(expected_value)))
        }
        Kind::Enum { options } => match options.as_array() {
            Some(options) => format!("must be one of {}", listed(options)),
            None => "must be one of the listed values".to_owned(),
        },
        Kind::Contains => "must contain an item of the kind the schema asks for".to_owned(),
        Kind::ContentEncoding { content_encoding } => {
            format!("must be encoded as {content_encoding}")
        }
        Kind::ContentMediaType { content_media_type } => {
            format!("must be of the media type {content_media_type}")
        }
        Kind::FromUtf8 { .. } => "must be UTF-8 text once decoded".to_owned(),
        Kind::ExclusiveMaximum { limit } => format!("must be less than {limit}"),
        Kind::ExclusiveMinimum { limit } => format!("must be greater than {limit}"),
        Kind::Maximum { limit } => format!("must be at most {limit}"),
        Kind::Minimum { limit } => format!("must be at least {limit}"),
        Kind::MultipleOf { multiple_of } => format!("must be a multiple of {multiple_of}"),
        Kind::MaxItems { limit } => {
            format!("must have at most {}", counted(*limit, "item", "items"))
        }
        Kind::MinItems { limit } => {
            format!("must have at least {}", counted(*limit, "item", "items"))
        }
        Kind::MaxLength { limit } => format!(
            "must have at most {}",
            counted(*limit, "character", "characters")
        ),
        Kind::MinLength { limit } => format!(
            "must have at least {}",
            counted(*limit, "character", "characters")
        ),
        Kind::MaxProperties { limit } => format!(
            "must have at most {}",
            counted(*limit, "property", "properties")
        ),
        Kind::MinProperties { limit } => format!(
            "must have at least {}",
            counted(*limit, "property", "properties")
        ),
        Kind::UniqueItems => "must not hold the same item twice".to_owned(),
        Kind::Pattern { pattern } => format!("must match the pattern {pattern}"),
        Kind::BacktrackLimitExceeded { .. } | Kind::RegexEngineFailure { .. } => {
            "must match a pattern that is too costly to test on this text".to_owned()
        }
        Kind::Format { format } => format!("must be in the format `{format}`"),
        Kind::Required { property } => format!("must have the property {property}"),
        Kind::Type { kind } => format!("must be {}", type_words(kind)),
        Kind::PropertyNames { error } => {
            format!("must have names that fit: each {}", expected(error, None))
        }
        Kind::FalseSchema => "must not be there at all".to_owned(),
        Kind::Not { .. } => "must not match what the schema excludes".to_owned(),
        Kind::Referencing(_) => "must refer to a place inside the schema".to_owned(),
        // Written by a custom keyword, and we register none.
        Kind::Custom { keyword, .. } => format!("must satisfy `{keyword}`"),
    }
}

/// Lists the properties known to the schema whose `additionalProperties` was broken.
fn known_properties(error: &ValidationError<'_>, schema: Option<&Value>) -> Option<String> {
    let (holder, _keyword) = error.schema_path().as_str().rsplit_once('/')?;
    let known = schema?.pointer(holder)?.get("properties")?.as_object()?;
    let names: Vec<Value> = known
        .keys()
        .map(|name| Value::from(name.as_str()))
        .collect();
    (!names.is_empty()).then(|| listed(&names))
}

fn listed<V: std::borrow::Borrow<Value>>(options: &[V]) -> String {
    let mut list = String::new();
    for (index, option) in options.iter().enumerate() {
        let option = option.borrow().to_string();
        if list.len() + option.len() > MAX_LISTED_CHARS {
            return format!("the {} values that the schema lists", options.len());
        }
        if index > 0 {
            list.push_str(", ");
        }
        list.push_str(&option);
    }
    list
}

fn counted(count: u64, one: &str, several: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { several })
}

fn type_words(kind: &TypeKind) -> String {
    match kind {
        TypeKind::Single(one) => with_article(*one).to_owned(),
        TypeKind::Multiple(several) => several
            .iter()
            .map(with_article)
            .collect::<Vec<_>>()
            .join(" or "),
    }
}

fn with_article(kind: JsonType) -> &'static str {
    match kind {
        JsonType::Array => "an array",
        JsonType::Boolean => "a boolean",
        JsonType::Integer => "an integer",
        JsonType::Null => "null",
        JsonType::Number => "a number",
        JsonType::Object => "an object",
        JsonType::String => "a string",
    }
}
