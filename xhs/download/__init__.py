"""From a request to its answer: order, throttle, cache, retries, budget and token."""
