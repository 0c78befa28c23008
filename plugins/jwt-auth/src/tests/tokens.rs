//! Tokens that another library has signed, of one hour from 2026-01-01T00:00:00Z, with the public keys.

/// An algorithm, a public key, and a token that is signed with it.
pub(super) const SIGNED: [(&str, &str, &str); 3] = [
    (
        "RS256",
        "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEApRugdpfnJnu2ixJG3cRYjdYxFnysFzf6aMF3GfCVn3bXUTnCKMa2hCxW36Jk7+Gk5WooxWQnuVs60Vj3p8Lrfs428n/SwvORxMcnlBtcc26IV3sN+BATui1XwFjlvhDVXm5XyyDle7ywJehRtrUjUW8IpJqWPdeM7SWQFW/umW91F+7xLmMpxjr8nfLJ+K+olXfob+SGAOZnfo5UMf1tiyoX1Ay0JAZg2DcoHhQNrma6+HHIP+Uv3vs7SY07G6T9u7D54a+pihFVOoder5xOzt3pbNRCTCocicg+/J4/iZWycrqzKd09p6VvZj5m2dR8MwC3z3Qa4I+V+Wd/M8ctwQIDAQAB",
        "eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCIsImtpZCI6InIxIn0.eyJpc3MiOiJodHRwczovL2xvZ2luLmV4YW1wbGUuY29tIiwic3ViIjoiYWRhIiwiYXVkIjpbInNob3AiLCJtYWlsIl0sImV4cCI6MTc2NzIyOTIwMCwibmJmIjoxNzY3MjI1NTQwLCJhZG1pbiI6dHJ1ZSwibGV2ZWwiOjN9.mE9B8HNYExdIOCf3qrGhZmI0iWW37oAt7eiE6GaSk8csKMqeU7_lqGICb4PMS3eCrOb8OIuS4nfjNl1Jan8ulAysDVUnwm1WtHSoHuTVoJde5h9OU-6m0ze01OfXrbNIWO3_Fr1MLkbRWFn0vGdwMYbpDV51PMtDaPUDg4yiHMC1_PX4fgS9zST4T4AyFQoX3XVuPbl0DsTyNSriAHgz1wppXo6HlWO2meKvE8fdkt4stTRF3H5-ppZgKHs74bLwg5LJdi-7L3_mGs4YgmDQFzTW07KhcR0Kl5UziGjvL9zV1vbXC4l_m9vVDda02_c2Eh41pv3osOAtCmfhWIS53g",
    ),
    (
        "ES256",
        "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE2vLGlueScdM7GsAioPFH3gs+qsPrNaiKJhlFx37tf6NCmlCRIOlky32SD1pA7v8j2Kk/8KOZnd9HCMdYl3IR/w==",
        "eyJhbGciOiJFUzI1NiIsInR5cCI6IkpXVCIsImtpZCI6ImUxIn0.eyJpc3MiOiJodHRwczovL2xvZ2luLmV4YW1wbGUuY29tIiwic3ViIjoiYWRhIiwiYXVkIjpbInNob3AiLCJtYWlsIl0sImV4cCI6MTc2NzIyOTIwMCwibmJmIjoxNzY3MjI1NTQwLCJhZG1pbiI6dHJ1ZSwibGV2ZWwiOjN9.h80Obk35MS3cSjMcwlc_F0UH_3vF93hDFR6z0dZeYDT3gYczgLVxbIjoTs6zKm5Ehif48mRt7Mq09dPTv4qSFg",
    ),
    (
        "EdDSA",
        "MCowBQYDK2VwAyEAtAPDxg4/AXFjyVW1rWmN66uJGzoWAamTFEaUJeigkmQ=",
        "eyJhbGciOiJFZERTQSIsInR5cCI6IkpXVCIsImtpZCI6ImQxIn0.eyJpc3MiOiJodHRwczovL2xvZ2luLmV4YW1wbGUuY29tIiwic3ViIjoiYWRhIiwiYXVkIjpbInNob3AiLCJtYWlsIl0sImV4cCI6MTc2NzIyOTIwMCwibmJmIjoxNzY3MjI1NTQwLCJhZG1pbiI6dHJ1ZSwibGV2ZWwiOjN9.yo1AB5c9zxvg5yI1RJcIfVM8HHi_zIKFk0LVG_Q1EqBKRefnInPUdh6zsZit184uNCkgZhA5xjeRrsZV1-TwCA",
    ),
];

/// An RSA public key, and a token that is signed with its bytes as if they were the secret of HS256.
pub(super) const CONFUSED: (&str, &str) = (
    "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEApRugdpfnJnu2ixJG3cRYjdYxFnysFzf6aMF3GfCVn3bXUTnCKMa2hCxW36Jk7+Gk5WooxWQnuVs60Vj3p8Lrfs428n/SwvORxMcnlBtcc26IV3sN+BATui1XwFjlvhDVXm5XyyDle7ywJehRtrUjUW8IpJqWPdeM7SWQFW/umW91F+7xLmMpxjr8nfLJ+K+olXfob+SGAOZnfo5UMf1tiyoX1Ay0JAZg2DcoHhQNrma6+HHIP+Uv3vs7SY07G6T9u7D54a+pihFVOoder5xOzt3pbNRCTCocicg+/J4/iZWycrqzKd09p6VvZj5m2dR8MwC3z3Qa4I+V+Wd/M8ctwQIDAQAB",
    "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCIsImtpZCI6InIxIn0.eyJpc3MiOiJodHRwczovL2xvZ2luLmV4YW1wbGUuY29tIiwic3ViIjoiYWRhIiwiYXVkIjpbInNob3AiLCJtYWlsIl0sImV4cCI6MTc2NzIyOTIwMCwibmJmIjoxNzY3MjI1NTQwLCJhZG1pbiI6dHJ1ZSwibGV2ZWwiOjN9.UKEbKwCvnx6-3-F9tWjpNknxI5Yop7uUmrBmiqiFoI8",
);
