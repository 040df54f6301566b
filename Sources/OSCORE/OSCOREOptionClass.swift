public import CoAP
import Wire

/// Where OSCORE puts an option (RFC 8613, 4.1). There is no Class I option.
public enum OSCOREOptionClass: Hashable, Sendable {
  /// Class E: encrypted. An outer instance is a proxy's and is discarded at the end.
  case inner
  /// Class U: for proxies, unprotected.
  case outer
  /// Observe: in both places (RFC 8613, 4.1.3.5).
  case innerAndOuter
}

extension CoAPOptionNumber {
  /// The class of the option when an endpoint protects a message: Class E for all that is not known (RFC 8613, figure 5).
  ///
  /// The block options, Size1, Size2, Max-Age, No-Response, Echo and Request-Tag may also stand outside, but only there
  /// by a proxy or in an error of OSCORE itself; an endpoint's own are inner. Hop-Limit (RFC 8768) and EDHOC (RFC 9668)
  /// are read on the way and before decryption.
  public var oscoreClass: OSCOREOptionClass {
    switch self {
    case .uriHost, .uriPort, .proxyUri, .proxyScheme, .oscore, .hopLimit, .edhoc: .outer
    case .observe: .innerAndOuter
    default: .inner
    }
  }
}

extension CoAPOptions {
  /// The options that are encrypted, and those that stay outside.
  ///
  /// Throws ``DropReason/oscoreNested`` if there is an OSCORE option already (RFC 8613, 4.1.3.7), and
  /// ``DropReason/oscoreMalformed`` for a Proxy-Uri that cannot be taken apart.
  func split() throws(OSCOREError) -> (inner: CoAPOptions, outer: CoAPOptions) {
    guard !contains(.oscore) else { throw OSCOREError(.oscoreNested) }
    var options = self
    try options.splitProxyURI()
    var (inner, outer) = (CoAPOptions(), CoAPOptions())
    for option in options {
      let place = option.number.oscoreClass
      if place != .outer { inner.append(option) }
      if place != .inner { outer.append(option) }
    }
    return (inner, outer)
  }

  /// The options of the decrypted message: the inner ones, and of the outer ones those of Class U which no inner one
  /// stands in for (RFC 8613, 8.2 and 8.4).
  func merging(outer: CoAPOptions) -> CoAPOptions {
    var merged = self
    for option in outer where option.number.oscoreClass == .outer && option.number != .oscore {
      if !contains(option.number) { merged.append(option) }
    }
    return merged
  }
}
