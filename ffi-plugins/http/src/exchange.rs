//! One exchange: a request, its redirects, its response, within its time.

use std::pin::pin;

use futures::future::{Either, select};
use mix_plugin_sdk::{Failure, Map, sleep};
use url::{Origin, Url};

use crate::guard;
use crate::limits::Limits;
use crate::refusal::Refusal;
use crate::request::Request;
use crate::response::{Response, Wishes};
use crate::transport;

/// Most redirects that are followed.
const MOST_REDIRECTS: usize = 10;

/// Headers that are for one origin only.
const SECRET: [&str; 3] = ["authorization", "cookie", "proxy-authorization"];

/// Performs the request of a map; the result is a response map in any case.
pub async fn perform(map: &Map) -> Result<Map, Failure> {
    let request = match Request::parse(map)? {
        Ok(request) => request,
        Err(refusal) => return Ok(refusal.response()),
    };
    let limits = Limits::of_environment();
    let time = request
        .timeout
        .unwrap_or(limits.timeout)
        .min(limits.timeout);
    let requested = request.url.to_string();
    let (binary, undo_gzip) = (request.binary, request.undo_gzip);
    let table = request.media_types.clone();
    let send = async |request: &Request| transport::send(request, limits.response).await;
    let following = follow(request, &limits, send);
    let answer = match select(pin!(following), pin!(sleep(time))).await {
        Either::Left((answer, _)) => answer,
        Either::Right(_) => Err(Refusal::new(
            "ERR_TIMEOUT",
            format!("no complete response within {} s", time.as_secs_f64()),
        )),
    };
    let wishes = Wishes {
        binary,
        media_types: table.as_ref(),
        undo_gzip,
        limit: limits.response,
    };
    let described = answer.and_then(|response| response.describe(&requested, wishes));
    Ok(described.unwrap_or_else(|refusal| refusal.response()))
}

/// Sends a request and follows redirects. Each target is judged before anything is sent there.
async fn follow(
    mut request: Request,
    limits: &Limits,
    send: impl AsyncFn(&Request) -> Result<Response, Refusal>,
) -> Result<Response, Refusal> {
    let mut before: Option<Origin> = None;
    for _ in 0..=MOST_REDIRECTS {
        let origin = request.url.origin();
        let is_own = limits.own.as_ref() == Some(&origin);
        if !is_own {
            guard::check(&request.url, limits.dangerous)?;
        } else if before.is_some_and(|before| before != origin) {
            // Whoever is asked elsewhere does not decide what this run asks of its own server.
            return Err(Refusal::blocked("address"));
        }
        before = Some(origin.clone());
        let allowed = |number| limits.allow_token(number, &origin);
        if !request.token.is_none_or(allowed) {
            return Err(Refusal::blocked("token"));
        }
        let response = send(&request).await?;
        match target(&request.url, &response)? {
            None => return Ok(response),
            Some(url) => redirect(&mut request, response.status, url),
        }
    }
    Err(Refusal::blocked("redirects"))
}

/// Where a response redirects to, if it does.
fn target(base: &Url, response: &Response) -> Result<Option<Url>, Refusal> {
    if !matches!(response.status, 301 | 302 | 303 | 307 | 308) {
        return Ok(None);
    }
    let Some(location) = response.header("location") else {
        return Ok(None);
    };
    let mut url = base
        .join(&location)
        .map_err(|error| Refusal::new("ERR_URL", format!("bad redirect: {error}")))?;
    url.set_fragment(None);
    guard::parse(url.as_str()).map(Some)
}

fn redirect(request: &mut Request, status: u16, url: Url) {
    if matches!(status, 301..=303) && request.method != "HEAD" {
        request.method = "GET".to_string();
        request.body = None;
        request
            .headers
            .retain(|(name, _)| !name.starts_with("content-"));
    }
    if request.url.origin() != url.origin() {
        request.token = None;
        request
            .headers
            .retain(|(name, _)| !SECRET.contains(&name.as_str()));
    }
    request.url = url;
}

#[cfg(test)]
mod tests {
    use mix_plugin_sdk::Value;
    use mix_plugin_sdk::mix_value::Token;

    use super::*;

    fn request(method: &str) -> Request {
        let map = Map::from([
            ("url".into(), Value::string("https://a.example.com/x/y")),
            ("method".into(), Value::string(method)),
            ("body".into(), Value::string("b")),
            ("oauthToken".into(), Value::string("t")),
        ]);
        Request::parse(&map).unwrap().unwrap()
    }

    fn answer(status: u16, location: &str) -> Response {
        Response {
            status,
            headers: vec![("Location".into(), location.as_bytes().to_vec())],
            body: vec![],
        }
    }

    fn has(request: &Request, name: &str) -> bool {
        request.headers.iter().any(|(own, _)| own == name)
    }

    #[test]
    fn methods_of_redirects() {
        for (status, method, next) in [
            (301, "POST", "GET"),
            (302, "PUT", "GET"),
            (303, "HEAD", "HEAD"),
            (307, "POST", "POST"),
            (308, "PATCH", "PATCH"),
        ] {
            let mut request = request(method);
            let url = target(&request.url, &answer(status, "../z?q"))
                .unwrap()
                .unwrap();
            redirect(&mut request, status, url);
            assert_eq!(
                (request.method.as_str(), request.url.as_str()),
                (next, "https://a.example.com/z?q")
            );
            assert_eq!(request.body.is_some(), next != "GET", "{status}");
            assert_eq!(has(&request, "content-type"), next != "GET");
            assert!(has(&request, "authorization"));
        }
    }

    #[test]
    fn secrets_stay_with_their_origin() {
        for location in [
            "https://b.example.com/",
            "http://a.example.com/",
            "https://a.example.com:444/",
        ] {
            let mut request = request("GET");
            let url = target(&request.url, &answer(302, location))
                .unwrap()
                .unwrap();
            redirect(&mut request, 302, url);
            assert!(!has(&request, "authorization"), "{location}");
        }
    }

    #[test]
    fn redirects_keep_the_rules() {
        use futures::FutureExt;
        use std::cell::RefCell;

        // What is asked for first redirects to each of these.
        for (to, result) in [
            ("https://b.example.com/", Ok(200)),
            ("//b.example.com/", Ok(200)),
            ("/elsewhere", Ok(200)),
            ("http://a.example.com/", Err("scheme")),
            ("ftp://a.example.com/", Err("scheme")),
            ("https://169.254.169.254/", Err("address")),
            ("https://[fd00:ec2::254]/", Err("address")),
            ("https://0x7f.1/", Err("address")),
            ("https://db/", Err("host")),
            ("https://vault.internal/", Err("host")),
            ("https://user:pw@b.example.com/", Err("userinfo")),
            ("https://a.example.com/x/y", Err("redirects")),
        ] {
            let asked = RefCell::new(Vec::new());
            let first = request("GET");
            let start = first.url.to_string();
            let send = async |request: &Request| {
                asked.borrow_mut().push(request.url.to_string());
                Ok(match request.url.as_str() == start {
                    true => answer(302, to),
                    false => answer(200, ""),
                })
            };
            let done = follow(first, &strict(), send)
                .now_or_never()
                .expect("at once");
            let done = done
                .map(|response| response.status)
                .map_err(|refusal| refusal.text);
            assert_eq!(done, result.map_err(str::to_owned), "{to}");
            let sent = match result {
                Ok(_) => 2,
                Err("redirects") => 1 + MOST_REDIRECTS,
                Err(_) => 1,
            };
            assert_eq!(asked.borrow().len(), sent, "{to}");
        }
    }

    fn strict() -> Limits {
        Limits {
            dangerous: false,
            own: None,
            callers_token: None,
            trusted: vec![],
            timeout: std::time::Duration::from_secs(1),
            response: 1,
        }
    }

    #[test]
    fn tokens_of_the_host_go_where_they_are_known() {
        use futures::FutureExt;

        let origin = |text: &str| Url::parse(text).unwrap().origin();
        let limits = Limits {
            own: Some(origin("http://127.0.0.1:8000")),
            callers_token: Some(1),
            trusted: vec![
                origin("http://127.0.0.1:8000"),
                origin("https://b.example.com"),
            ],
            ..strict()
        };
        for (url, result) in [
            ("http://127.0.0.1:8000/x", Ok(())),
            ("http://127.0.0.1:8001/x", Err("scheme")),
            ("https://b.example.com/", Ok(())),
            ("https://a.example.com/", Err("token")),
            ("https://b.example.com:444/", Err("token")),
        ] {
            let map = Map::from([
                ("url".into(), Value::string(url)),
                ("oauthToken".into(), Value::Token(Token::Reference(1))),
            ]);
            let request = Request::parse(&map).unwrap().unwrap();
            let send = async |request: &Request| {
                assert_eq!(request.token, Some(1), "{url}");
                assert!(!has(request, "authorization"), "{url}");
                Ok(answer(200, ""))
            };
            let done = follow(request, &limits, send)
                .now_or_never()
                .expect("at once");
            let done = done.map(|_| ()).map_err(|refusal| refusal.text);
            assert_eq!(done, result.map_err(str::to_owned), "{url}");
        }
        // Of another token the server judges, where there is one.
        let mut other = request("GET");
        other.token = Some(2);
        for (limits, result) in [(&limits, Ok(())), (&strict(), Err("token".to_owned()))] {
            let send = async |request: &Request| {
                assert_eq!(request.token, Some(2));
                Ok(answer(200, ""))
            };
            let done = follow(other.clone(), limits, send).now_or_never();
            let done = done.expect("at once").map(|_| ());
            assert_eq!(done.map_err(|refusal| refusal.text), result);
        }
        // Nobody else sends a run to its own server.
        let map = Map::from([("url".into(), Value::string("https://a.example.com/"))]);
        let asked = Request::parse(&map).unwrap().unwrap();
        let send = async |_: &Request| Ok(answer(302, "http://127.0.0.1:8000/x"));
        let done = follow(asked, &limits, send)
            .now_or_never()
            .expect("at once");
        assert_eq!(
            done.map(|_| ()).map_err(|refusal| refusal.text),
            Err("address".to_owned())
        );
        // Nor does a token follow to another origin.
        let mut request = request("GET");
        request.token = Some(1);
        redirect(
            &mut request,
            302,
            Url::parse("https://b.example.com/").unwrap(),
        );
        assert_eq!(request.token, None);
        // The empty token is none.
        let map = Map::from([
            ("url".into(), Value::string("https://a.example.com/")),
            ("oauthToken".into(), Value::Token(Token::Sealed([].into()))),
        ]);
        let request = Request::parse(&map).unwrap().unwrap();
        assert!(request.token.is_none() && !has(&request, "authorization"));
    }

    #[test]
    fn other_answers_are_final() {
        let base = Url::parse("https://a.example.com/").unwrap();
        assert_eq!(target(&base, &answer(200, "/x")), Ok(None));
        assert_eq!(target(&base, &answer(304, "/x")), Ok(None));
        let silent = Response {
            status: 302,
            headers: vec![],
            body: vec![],
        };
        assert_eq!(target(&base, &silent), Ok(None));
        assert_eq!(
            target(&base, &answer(302, "https://[")).unwrap_err().code,
            "ERR_URL"
        );
    }
}
