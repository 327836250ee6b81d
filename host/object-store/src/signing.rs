//! Signatures of version 4 over requests.
//!
//! A request is written in a canonical form (method, path, query, signed headers, hash of the body), its hash is
//! signed with a key that is derived from the secret for one day, region and service.

use hmac::digest::KeyInit;
use hmac::{Hmac, Mac};
use mix_file_path::percent;
use sha2::{Digest, Sha256};

/// The scheme's name.
const ALGORITHM: &str = "AWS4-HMAC-SHA256";
/// Bytes of a block of the hash.
const BLOCK: usize = 64;

/// Who signs, for what and when.
#[derive(Clone, Copy)]
pub struct Signer<'a> {
    /// Name of the key.
    pub access_key: &'a str,
    /// The key.
    pub secret_key: &'a str,
    /// Region.
    pub region: &'a str,
    /// `YYYYMMDDTHHMMSSZ`.
    pub time: &'a str,
}

/// What is signed of a request.
pub struct Signed<'a> {
    /// Method.
    pub method: &'a str,
    /// Path, percent-encoded by [`encode`].
    pub path: &'a str,
    /// Query, percent-encoded by [`query`].
    pub query: &'a str,
    /// Headers: lower-case names in ascending order; `host` is one of them.
    pub headers: &'a [(&'a str, &'a str)],
    /// [`hash`] of the body.
    pub body_hash: &'a str,
}

impl Signer<'_> {
    /// The value of header `authorization`.
    pub fn authorization(&self, request: &Signed<'_>) -> String {
        let names: Vec<&str> = request.headers.iter().map(|(name, _)| *name).collect();
        let names = names.join(";");
        let mut canonical = format!("{}\n{}\n{}\n", request.method, request.path, request.query);
        for (name, value) in request.headers {
            canonical.push_str(&format!("{name}:{}\n", value.trim()));
        }
        canonical.push_str(&format!("\n{names}\n{}", request.body_hash));
        let day = self.time.get(..8).unwrap_or_default();
        let scope = format!("{day}/{}/s3/aws4_request", self.region);
        let text = format!(
            "{ALGORITHM}\n{}\n{scope}\n{}",
            self.time,
            hash(canonical.as_bytes())
        );
        let secret = format!("AWS4{}", self.secret_key);
        let steps = [day, self.region, "s3", "aws4_request", &text];
        let signature = steps.iter().fold(secret.into_bytes(), |key, step| {
            mac(&key, step.as_bytes()).to_vec()
        });
        format!(
            "{ALGORITHM} Credential={}/{scope},SignedHeaders={names},Signature={}",
            self.access_key,
            hex(&signature)
        )
    }
}

fn mac(key: &[u8], text: &[u8]) -> [u8; 32] {
    // A longer key stands for its hash, a shorter one has zeros behind it.
    let mut padded = [0; BLOCK];
    if key.len() > BLOCK {
        padded[..32].copy_from_slice(&Sha256::digest(key));
    } else {
        padded[..key.len()].copy_from_slice(key);
    }
    let mut mac = <Hmac<Sha256> as KeyInit>::new(&padded.into());
    mac.update(text);
    mac.finalize().into_bytes().into()
}

/// The hash of a body, as text.
pub fn hash(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Percent-encodes all but letters, digits and `-._~`; in paths `/` stays too.
pub fn encode(text: &str, is_path: bool) -> String {
    percent::encode(text, if is_path { b"-._~/" } else { b"-._~" })
}

/// A query in the form in which it is signed: encoded, ascending.
pub fn query(parameters: &[(&str, &str)]) -> String {
    let mut pairs: Vec<(String, String)> = parameters
        .iter()
        .map(|(name, value)| (encode(name, false), encode(value, false)))
        .collect();
    pairs.sort();
    let pairs: Vec<String> = pairs
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    pairs.join("&")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples that the inventor of the scheme publishes.
    const SIGNER: Signer<'static> = Signer {
        access_key: "AKIAIOSFODNN7EXAMPLE",
        secret_key: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        region: "us-east-1",
        time: "20130524T000000Z",
    };
    const HOST: (&str, &str) = ("host", "examplebucket.s3.amazonaws.com");
    const DATE: (&str, &str) = ("x-amz-date", "20130524T000000Z");

    #[test]
    fn published_examples() {
        let empty = hash(b"");
        let content = hash(b"Welcome to Amazon S3.");
        let of = |name: &'static str, hash: &'static str| (name, hash);
        let empty_header = of(
            "x-amz-content-sha256",
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        );
        let content_header = of(
            "x-amz-content-sha256",
            "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072",
        );
        assert_eq!(
            (empty.as_str(), content.as_str()),
            (empty_header.1, content_header.1)
        );
        let get: &[_] = &[HOST, ("range", "bytes=0-9"), empty_header, DATE];
        let put: &[_] = &[
            ("date", "Fri, 24 May 2013 00:00:00 GMT"),
            HOST,
            content_header,
            DATE,
            ("x-amz-storage-class", "REDUCED_REDUNDANCY"),
        ];
        let plain: &[_] = &[HOST, empty_header, DATE];
        let list = query(&[("prefix", "J"), ("max-keys", "2")]);
        let lifecycle = query(&[("lifecycle", "")]);
        for (method, path, query, headers, body_hash, expected) in [
            (
                "GET",
                "/test.txt",
                "",
                get,
                &empty,
                "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
            ),
            (
                "PUT",
                "/test$file.text",
                "",
                put,
                &content,
                "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
            ),
            (
                "GET",
                "/",
                lifecycle.as_str(),
                plain,
                &empty,
                "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543",
            ),
            (
                "GET",
                "/",
                list.as_str(),
                plain,
                &empty,
                "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
            ),
        ] {
            let authorization = SIGNER.authorization(&Signed {
                method,
                path: &encode(path, true),
                query,
                headers,
                body_hash,
            });
            let names: Vec<&str> = headers.iter().map(|(name, _)| *name).collect();
            let start = format!(
                "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,SignedHeaders={},",
                names.join(";")
            );
            assert_eq!(
                authorization,
                format!("{start}Signature={expected}"),
                "{method} {path}"
            );
        }
    }

    #[test]
    fn names_are_encoded() {
        assert_eq!(encode("/a b/ü$~.txt", true), "/a%20b/%C3%BC%24~.txt");
        assert_eq!(encode("a/b+c", false), "a%2Fb%2Bc");
        assert_eq!(query(&[("b", "2 3"), ("a", "")]), "a=&b=2%203");
    }

    #[test]
    fn long_keys_stand_for_their_hash() {
        // RFC 4231, test case 6.
        let tag = mac(
            &[0xaa; 131],
            b"Test Using Larger Than Block-Size Key - Hash Key First",
        );
        assert_eq!(
            hex(&tag),
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"
        );
    }
}
