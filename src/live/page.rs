//! The page for people: files of this program, which ask the routes beside them and nobody else.

use axum::Router;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::get;

/// What the page may load and whom it may ask: this server.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; \
                      frame-ancestors 'none'; base-uri 'none'; form-action 'none'";

/// Path, type, content.
const FILES: &[(&str, &str, &str)] = &[
    ("/", "text/html; charset=utf-8", include_str!("page/index.html")),
    ("/page.css", "text/css; charset=utf-8", include_str!("page/page.css")),
    ("/page.js", "text/javascript; charset=utf-8", include_str!("page/page.js")),
    ("/figures.js", "text/javascript; charset=utf-8", include_str!("page/figures.js")),
    ("/waterfall.js", "text/javascript; charset=utf-8", include_str!("page/waterfall.js")),
    // uPlot 1.6.32, MIT: its licence is in `page/uplot.LICENSE`.
    ("/uplot.js", "text/javascript; charset=utf-8", include_str!("page/uplot.js")),
    ("/uplot.css", "text/css; charset=utf-8", include_str!("page/uplot.css")),
];

/// Routes of the page. They hold nothing of the traffic, so they need no token; what they ask for does.
pub(super) fn routes<S: Clone + Send + Sync + 'static>() -> Router<S> {
    FILES.iter().fold(Router::new(), |router, &(path, kind, content)| router.route(path, get(move || async move { file(kind, content) })))
}

fn file(kind: &'static str, content: &'static str) -> Response {
    ([(header::CONTENT_TYPE, kind), (header::CONTENT_SECURITY_POLICY, POLICY)], content).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_asks_nobody_else() {
        for (path, _, content) in FILES.iter().filter(|(path, ..)| !path.starts_with("/uplot")) {
            let elsewhere = ["http:", "https:", "//cdn", "@import", "url("].iter().find(|of| content.contains(*of));
            assert_eq!(elsewhere, None, "{path}");
            // The policy forbids both.
            assert!(!content.contains(" style=\"") && !content.contains("onclick=") && !content.contains("innerHTML"), "{path}");
        }
        let html = FILES[0].2;
        let asked: Vec<_> =
            html.split(['"', '\'']).filter(|word| word.starts_with('/') || word.ends_with(".js") || word.ends_with(".css")).collect();
        assert!(asked.len() >= 4 && asked.iter().all(|asked| FILES.iter().any(|(path, ..)| path == asked)), "{asked:?}");
    }
}
