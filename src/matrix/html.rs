//! Formatted text: escaping and links.

use crate::matrix::ids::UserId;

/// Appends text as HTML: `& < > "` escaped, line breaks as `<br/>`.
pub fn push_text(html: &mut String, text: &str) {
    for c in text.chars() {
        match c {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '"' => html.push_str("&quot;"),
            '\n' | '\u{2028}' | '\u{2029}' => html.push_str("<br/>"),
            '\r' => {}
            c => html.push(c),
        }
    }
}

/// The link to a user that clients show as a pill.
///
/// Source: `[mx v1.12] matrix.to navigation`.
pub fn user_link(user: &UserId) -> String {
    let mut link = "https://matrix.to/#/".to_owned();
    for byte in user.as_str().bytes() {
        match byte {
            b'/' => link.push_str("%2F"),
            b'[' => link.push_str("%5B"),
            b']' => link.push_str("%5D"),
            byte => link.push(char::from(byte)),
        }
    }
    link
}

#[cfg(test)]
mod tests {
    use super::push_text;
    use super::user_link;
    use crate::base::ids::Handle;
    use crate::matrix::ids::Account;
    use crate::matrix::ids::ServerName;

    #[test]
    fn text_cannot_become_markup() {
        let mut html = String::new();

        push_text(&mut html, "<b a=\"1\">&\r\nx");

        assert_eq!(html, "&lt;b a=&quot;1&quot;&gt;&amp;<br/>x");
    }

    #[test]
    fn a_link_to_a_user_is_one_path_segment() {
        let account = Account::new("a/b", ServerName::parse("[::1]:80").unwrap()).unwrap();
        let ghost = account.ghost(&Handle::from_normal("mailto:a@example.org".to_owned()));

        assert_eq!(
            user_link(account.user()),
            "https://matrix.to/#/@a%2Fb:%5B::1%5D:80"
        );
        assert_eq!(
            user_link(&ghost),
            "https://matrix.to/#/@imessage_a=40example.org:%5B::1%5D:80"
        );
    }
}
