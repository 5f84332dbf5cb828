//! What a field's name says about its content.

/// What to write into a text field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Kind {
    /// Sentences: a section of the grammar that begins with a capital letter.
    Sentences(&'static str),
    /// Words: a section of the grammar, as it stands.
    Words(&'static str),
    /// The name of a topic.
    Topic,
    /// A text of a fixed form, named as JSON Schema's `format` names it.
    Format(&'static str),
    /// A name for machines, such as `user_name` or `slug`.
    Slug,
    /// A file's path.
    Path,
    /// A telephone number.
    Phone,
    /// So many digits.
    Digits(usize),
    /// `1.4.2`
    Version,
}

/// Returns what to write into a text field of this name.
pub(in super::super) fn kind(name: &str) -> Kind {
    let words = words(name);
    // The last word names the thing, what comes before describes it: a `product_title` is a title.
    let from_one = words.iter().rev().find_map(|word| kind_of_word(word));
    match words
        .iter()
        .map(String::as_str)
        .collect::<Vec<_>>()
        .as_slice()
    {
        [.., "product" | "item", "name"] => Kind::Words("product"),
        [
            ..,
            "company" | "brand" | "employer" | "organization" | "organisation",
            "name",
        ] => Kind::Words("company"),
        [.., "email" | "mail", "address"] => Kind::Format("email"),
        [.., "ip", "address"] => Kind::Format("ipv4"),
        [.., "user" | "screen" | "file" | "host", "name"] => Kind::Slug,
        [.., "first", "name"] => Kind::Words("first_name"),
        [.., "last" | "family", "name"] => Kind::Words("last_name"),
        [.., "city" | "town", "name"] => Kind::Words("city"),
        [.., "country", "name"] => Kind::Words("country"),
        [.., "topic" | "category" | "class" | "tag", "name"] => Kind::Words("category"),
        [.., "language", "code"] | ["lang" | "locale"] => Kind::Words("language_code"),
        [.., "programming", "language"] => Kind::Words("programming_language"),
        [.., "country", "code"] => Kind::Words("country_code"),
        [.., "currency", "code"] => Kind::Words("currency"),
        [.., "error" | "product" | "zip" | "postal", "code"] => Kind::Digits(5),
        _ => from_one.unwrap_or(Kind::Sentences("sentence")),
    }
}

fn kind_of_word(word: &str) -> Option<Kind> {
    let singular = word.strip_suffix('s').unwrap_or(word);
    Some(match singular {
        "question" | "query" | "querie" | "problem" | "prompt" | "q" => Kind::Sentences("question"),
        "answer" | "response" | "reply" | "solution" | "output" | "completion" | "a" => {
            Kind::Sentences("answer")
        }
        "explanation" | "rationale" | "reasoning" | "reason" | "justification" | "analysi"
        | "analyse" | "thought" | "thinking" | "proof" => Kind::Sentences("explanation"),
        "title" | "headline" | "heading" => Kind::Sentences("title"),
        "summary" | "summarie" | "abstract" | "tldr" | "synopsi" | "overview" => {
            Kind::Sentences("summary")
        }
        "description" | "detail" | "text" | "content" | "body" | "passage" | "context"
        | "paragraph" | "story" | "storie" | "article" | "document" | "background" | "bio" => {
            Kind::Sentences("paragraph")
        }
        "definition" | "meaning" => Kind::Sentences("definition"),
        "claim" | "statement" | "fact" | "premise" | "hypothesi" | "conclusion" | "argument"
        | "example" | "sentence" | "evidence" | "insight" | "takeaway" => Kind::Sentences("claim"),
        "instruction" | "task" | "exercise" | "assignment" | "goal" | "objective" => {
            Kind::Sentences("instruction")
        }
        "step" | "action" | "procedure" => Kind::Sentences("step"),
        "hint" | "tip" | "clue" | "advice" => Kind::Sentences("hint"),
        "review" | "feedback" | "opinion" | "testimonial" => Kind::Sentences("review"),
        "message" | "comment" | "note" | "utterance" | "input" | "request" | "mail"
        | "dialogue" | "turn" | "tweet" | "post" => Kind::Sentences("message"),
        "option" | "choice" | "distractor" | "alternative" => Kind::Sentences("option"),
        "name" | "author" | "person" | "customer" | "user" | "speaker" | "student" | "teacher"
        | "employee" | "patient" | "actor" => Kind::Words("person"),
        "product" => Kind::Words("product"),
        "company" | "companie" | "organization" | "organisation" | "employer" | "brand"
        | "publisher" | "vendor" => Kind::Words("company"),
        "city" | "citie" | "town" | "place" | "location" | "destination" => Kind::Words("city"),
        "country" | "countrie" | "nationality" | "origin" => Kind::Words("country"),
        "addres" | "addresse" | "street" => Kind::Words("address"),
        "category" | "categorie" | "genre" | "domain" | "field" | "area" | "department"
        | "industry" | "discipline" | "kind" | "type" => Kind::Words("category"),
        "tag" | "keyword" | "entity" | "entitie" | "skill" | "ingredient" | "term" | "word"
        | "concept" | "feature" | "symptom" => Kind::Words("tag"),
        "topic" | "subject" | "theme" => Kind::Topic,
        "label" | "clas" | "classe" => Kind::Words("noun"),
        "difficulty" | "level" | "complexity" => Kind::Words("difficulty"),
        "sentiment" | "polarity" | "tone" | "mood" => Kind::Words("sentiment"),
        "priority" | "severity" | "urgency" => Kind::Words("priority"),
        "statu" | "statuse" | "state" | "stage" => Kind::Words("status"),
        "role" => Kind::Words("role"),
        "gender" | "sex" => Kind::Words("gender"),
        "currency" => Kind::Words("currency"),
        "unit" => Kind::Words("unit"),
        "color" | "colour" => Kind::Words("colour"),
        "month" => Kind::Words("month"),
        "day" | "weekday" => Kind::Words("weekday"),
        "year" => Kind::Words("year"),
        "language" => Kind::Words("language"),
        "source" | "citation" | "reference" => Kind::Words("reference"),
        "code" | "snippet" | "program" | "function" | "script" => Kind::Words("code"),
        "sql" => Kind::Words("sql"),
        "email" => Kind::Format("email"),
        "url" | "uri" | "link" | "website" | "homepage" => Kind::Format("uri"),
        "uuid" | "guid" | "id" => Kind::Format("uuid"),
        "date" | "birthday" | "deadline" => Kind::Format("date"),
        "timestamp" | "datetime" | "at" => Kind::Format("date-time"),
        "time" => Kind::Format("time"),
        "duration" => Kind::Format("duration"),
        "ip" => Kind::Format("ipv4"),
        "host" | "hostname" => Kind::Format("hostname"),
        "username" | "handle" | "slug" | "key" | "identifier" => Kind::Slug,
        "path" | "file" | "filename" => Kind::Path,
        "phone" | "telephone" | "fax" => Kind::Phone,
        "zip" | "postcode" | "zipcode" => Kind::Digits(5),
        "version" => Kind::Version,
        _ => return None,
    })
}

/// Returns the range in which a number of this name usually lies.
pub(in super::super) fn usual_range(name: &str, is_integer: bool) -> Option<(i64, i64)> {
    let words = words(name);
    words.iter().rev().find_map(|word| {
        Some(match word.strip_suffix('s').unwrap_or(word) {
            "rating" | "star" | "difficulty" | "level" | "severity" => (1, 5),
            "score" | "grade" if is_integer => (0, 100),
            "score" | "confidence" | "probability" | "ratio" | "similarity" | "weight" => (0, 1),
            "percent" | "percentage" => (0, 100),
            "age" => (18, 90),
            "year" => (1950, 2025),
            "month" => (1, 12),
            "day" => (1, 28),
            "hour" => (0, 23),
            "minute" | "second" => (0, 59),
            "duration" | "length" => (1, 180),
            "price" | "cost" | "amount" | "total" | "fee" => (1, 500),
            "salary" | "income" | "budget" => (20_000, 200_000),
            "latitude" | "lat" => (-90, 90),
            "longitude" | "lon" | "lng" => (-180, 180),
            "temperature" => (-10, 40),
            "count" | "quantity" | "number" | "num" | "step" | "vote" => (1, 50),
            "index" | "rank" | "position" => (0, 20),
            "population" => (1_000, 9_000_000),
            "id" => (1, 1_000_000),
            _ => return None,
        })
    })
}

/// Splits `camelCase`, `snake_case`, `kebab-case` and spaced names into lower-case words.
fn words(name: &str) -> Vec<String> {
    let mut words = Vec::with_capacity(3);
    let mut word = String::new();
    let mut was_lower = false;
    for c in name.chars() {
        let starts_word = c.is_uppercase() && was_lower;
        if (starts_word || !c.is_alphanumeric()) && !word.is_empty() {
            words.push(std::mem::take(&mut word));
        }
        if c.is_alphanumeric() {
            word.extend(c.to_lowercase());
        }
        was_lower = c.is_lowercase();
    }
    if !word.is_empty() {
        words.push(word);
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_says_what_to_write() {
        for (name, expected) in [
            ("question", Kind::Sentences("question")),
            ("followUpQuestions", Kind::Sentences("question")),
            ("product_name", Kind::Words("product")),
            ("authorName", Kind::Words("person")),
            ("contact-email", Kind::Format("email")),
            ("created_at", Kind::Format("date-time")),
            ("email_address", Kind::Format("email")),
            ("topics", Kind::Topic),
            ("xyzzy", Kind::Sentences("sentence")),
        ] {
            assert_eq!(kind(name), expected, "{name}");
        }
    }

    #[test]
    fn a_name_says_which_numbers_are_usual() {
        assert_eq!(usual_range("starRating", true), Some((1, 5)));
        assert_eq!(usual_range("score", false), Some((0, 1)));
        assert_eq!(usual_range("frobs", true), None);
    }
}
