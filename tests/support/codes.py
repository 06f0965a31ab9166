"""The codes that stop a crawl, each with its close reason."""

FATAL = {
    100: "token_rejected",
    600: "permission_denied",
    601: "balance_exhausted",
    602: "balance_exhausted",
    303: "quota_exhausted",
}
