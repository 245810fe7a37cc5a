//! Balloons and link previews as text (MS-46, MS-47, MS-49).

use serde_json::Value;

use crate::base::ids::Handle;
use crate::base::limits::PREVIEW_TEXT_BYTES;
use crate::matrix::content::Context;
use crate::matrix::event::Content;
use crate::matrix::text::begin;
use crate::model::attachment::Attachment;
use crate::model::attachment::Role;
use crate::model::message::App;
use crate::model::message::AppContent;
use crate::model::message::Author;
use crate::model::message::LinkPreview;

/// What a balloon says. `poll` is the balloon that votes are about.
pub(super) fn text(
    app: &App,
    poll: Option<&App>,
    author: &Author,
    named: impl Fn(&Handle) -> String,
) -> String {
    match &app.content {
        AppContent::Opaque => card(app),
        AppContent::Handwriting => "[Handwriting]".to_owned(),
        AppContent::DigitalTouch(kind) => format!("[Digital Touch] {kind}"),
        AppContent::Poll { title, options } => {
            let mut text = "[Poll]".to_owned();
            if let Some(title) = title {
                text.extend([" ", title]);
            }
            for option in options {
                text.extend(["\n- ", &option.text]);
            }
            text
        }
        AppContent::Votes(votes) if votes.is_empty() => "took back the vote".to_owned(),
        AppContent::Votes(votes) => {
            let chosen = votes.iter().map(|(option, by)| {
                let option = option_text(poll, option).unwrap_or("an option of the poll");
                // Whose vote it is needs saying only where a row brings somebody else's too.
                let other = by
                    .as_ref()
                    .filter(|by| !matches!(author, Author::Other(author) if author == *by));
                match other.filter(|_| *author != Author::Owner) {
                    Some(other) => format!("{option} ({})", named(other)),
                    None => option.to_owned(),
                }
            });
            let chosen: Vec<String> = chosen.collect();
            format!("voted for {}", chosen.join(", "))
        }
    }
}

fn option_text<'a>(poll: Option<&'a App>, id: &str) -> Option<&'a str> {
    let AppContent::Poll { options, .. } = &poll?.content else {
        return None;
    };
    let option = options.iter().find(|option| option.id == id)?;
    Some(&option.text)
}

/// Name, captions and link of an app's balloon.
fn card(app: &App) -> String {
    let bundle = app.bundle.rsplit(':').next().unwrap_or(&app.bundle);
    let mut text = format!("[{}]", app.name.as_deref().unwrap_or(bundle));
    let text_if_bare = app.text.iter().filter(|_| app.captions.is_empty());
    for (at, said) in app.captions.iter().chain(text_if_bare).enumerate() {
        text.push(if at == 0 { ' ' } else { '\n' });
        text.push_str(said);
    }
    if let Some(url) = &app.url
        && (url.starts_with("https://") || url.starts_with("http://"))
    {
        text.extend(["\n", url]);
    }
    text
}

/// The preview of a link, in the form that Beeper's clients read.
pub(super) fn previews(
    preview: &LinkPreview,
    attachments: &[Attachment],
    context: &dyn Context,
) -> Value {
    let mut fields = Content::new();
    let mut add = |key: &str, text: Option<&String>| {
        if let Some(text) = text {
            fields.insert(key.to_owned(), begin(text, PREVIEW_TEXT_BYTES).into());
        }
    };
    let matched = preview.original_url.as_ref().or(preview.url.as_ref());
    add("matched_url", matched);
    add("og:url", preview.url.as_ref());
    add("og:title", preview.title.as_ref());
    add("og:description", preview.summary.as_ref());
    add("og:site_name", preview.site.as_ref());
    let is_image = |file: &&Attachment| {
        let mime = file.mime.as_deref();
        file.role == Role::Preview && mime.is_some_and(|mime| mime.starts_with("image/"))
    };
    let image = attachments.iter().find(is_image);
    if let Some((image, media)) = image.and_then(|image| Some((image, context.media(image)?))) {
        fields.insert("og:image".to_owned(), media.url.into());
        if let Some(mime) = media.mime.or_else(|| image.mime.clone()) {
            fields.insert("og:image:type".to_owned(), mime.into());
        }
    }
    Value::Array(vec![fields.into()])
}
