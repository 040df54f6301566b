import CoAP
import Envelope
import MemberSecurity
import OSCORE
import Queue
import Wire

// Commands to nodes that must prove themselves go under the keys that the node has agreed on with its gateway, with the
// gateway as the client (RFC 8613, 8.1).

extension Gateway {
  /// Whether commands for `node` are exchanged under OSCORE only, and there are no keys yet: the node agrees on some when
  /// it first says something.
  public func awaitsKeys(_ node: Member) -> Bool {
    exchanges(with: node) && node.mustProveItself && !security.hasContext(with: node.address)
  }

  /// The exchange under OSCORE, if there are keys: then no other way is taken.
  mutating func protected(_ exchange: NodeExchange) throws(ParseError) -> NodeExchange {
    let node = exchange.node
    guard exchange.endToEnd == nil else { return exchange }
    guard security.hasContext(with: node.address) else {
      guard !node.mustProveItself else { throw ParseError(.nodeUnproven) }
      return exchange
    }
    var exchange = exchange
    do throws(OSCOREError) {
      (exchange.request, exchange.protection) = try security.protect(
        exchange.request, to: node.address, keep: Self.keep(in: mailboxes.store))
    } catch { throw ParseError(error.reason) }
    return exchange
  }

  /// The exchange once more, if the node has not acted on it since it has restarted and wants proof that the request is
  /// new (RFC 8613, B.1.2). `nil` for every other response.
  public mutating func challenged(_ exchange: NodeExchange, by response: CoAPResponse) -> NodeExchange? {
    guard exchange.protection != nil, !exchange.wasChallenged, let inner = verified(response, of: exchange),
      inner.code == .unauthorized, let echo = inner.echo, let message = try? held(exchange),
      let (request, _) = try? Self.request(in: message, for: exchange.node)
    else { return nil }
    var (again, proof) = (exchange, request)
    proof.echo = echo
    again.request = proof
    again.wasChallenged = true
    return try? protected(again)
  }

  /// The response as the node made it; `nil` if it was to be protected and is not, or not rightly: nobody knows then what
  /// the node did.
  mutating func verified(_ response: CoAPResponse, of exchange: NodeExchange) -> CoAPResponse? {
    guard var protection = exchange.protection else { return response }
    do { return try security.unprotect(response, from: exchange.node.address, in: &protection) } catch {
      refusals.count(error.reason)
      return nil
    }
  }
}
