import CoAP
import TestSupport
import Testing
import Wire

@testable import OSCORE

/// RFC 8613, 4.1 and figure 5: which options are inside and which outside.
struct OptionClassTests {
  @Test("Every option that is known, and unknown ones, are in their place only", arguments: CoAPOptionNumber.known)
  func places(_ number: CoAPOptionNumber) throws {
    guard number != .oscore, number != .proxyUri else { return }
    var pair = try Pair()
    let unknown = CoAPOption(CoAPOptionNumber(rawValue: 2049), [1])
    let value = number == .observe ? [] : bytes("61")
    let request = CoAPRequest(code: .post, options: [CoAPOption(number, value), unknown], payload: [1])
    let (inner, outer) = try request.options.split()
    let classU: Set<CoAPOptionNumber> = [.uriHost, .uriPort, .proxyScheme, .hopLimit, .edhoc]
    #expect(inner.contains(number) == !classU.contains(number))
    #expect(outer.contains(number) == (classU.contains(number) || number == .observe))
    #expect(inner.contains(unknown.number) && !outer.contains(unknown.number))

    let (protected, _) = try pair.send(request)
    #expect(protected.options.contains(number) == outer.contains(number))
    #expect(protected.options.contains(.oscore))
    #expect(try pair.take(protected).0 == request)
  }

  @Test("Outer options of Class E are discarded, also unknown ones")
  func discarded() throws {
    var pair = try Pair()
    var request = CoAPRequest.ping
    request.options.append(CoAPOption(.uriHost, string: "home"))
    var (protected, exchange) = try pair.send(request)
    for number in CoAPOptionNumber.known where number.oscoreClass != .outer {
      protected.options.append(CoAPOption(number, [1]))
    }
    protected.options.append(CoAPOption(CoAPOptionNumber(rawValue: 2049), [1]))
    protected.code = .delete
    let (taken, atServer) = try pair.take(protected)
    #expect(taken == request)

    var response = try pair.server.protectResponse(CoAPResponse(.content, payload: [5]), in: atServer)
    response.code = .notFound
    response.maxAge = 9
    response.eTag = [1]
    #expect(try pair.client.unprotectResponse(response, in: &exchange) == CoAPResponse(.content, payload: [5]))
  }

  @Test("An option of Class U that the client put inside stands in for the one outside")
  func innerTwin() throws {
    var pair = try Pair()
    let (sent, exchange) = try pair.send()
    var protected = sent
    let inside = CoAPOptions([CoAPOption(.uriHost, string: "inside")])
    protected.payload = try pair.client.seal(
      OSCOREPlaintext(code: .get, options: inside, payload: []), nonce: exchange.requestNonce, in: exchange)
    protected.options.append(CoAPOption(.uriHost, string: "outside"))
    protected.options.append(CoAPOption(.uriPort, uint: 61616))
    #expect(try pair.take(protected).0.options == inside.merging(outer: [CoAPOption(.uriPort, uint: 61616)]))
  }

  @Test("Echo, Request-Tag, No-Response, Max-Age and the block options of an endpoint travel inside")
  func special() throws {
    var pair = try Pair()
    var request = CoAPRequest(.put, path: ["fw"], payload: [UInt8](repeating: 3, count: 64))
    request.block1 = CoAPBlock(number: 2, more: true, szx: 2)
    request.size1 = 4096
    request.requestTag = [7]
    request.echo = [1, 2, 3, 4, 5, 6, 7, 8]
    request.noResponse = 26
    var (protected, exchange) = try pair.send(request)
    #expect(protected.options.map(\.number) == [.oscore])
    #expect(protected.code == .post)
    let (taken, atServer) = try pair.take(protected)
    #expect(taken == request && taken.suppresses(.content))
    var response = CoAPResponse(.continue)
    response.block1 = request.block1
    response.block2 = CoAPBlock(number: 0, more: true, szx: 3)
    response.size2 = 512
    response.maxAge = 5
    let outer = try pair.server.protectResponse(response, in: atServer)
    #expect(outer.options.map(\.number) == [.oscore] && outer.code == .changed)
    #expect(try pair.client.unprotectResponse(outer, in: &exchange) == response)
  }

  @Test(
    "Proxy-Uri keeps scheme, host and port; path and query go inside",
    arguments: [
      ("coap://example.com/resource?q=1", "coap://example.com", ["resource"], ["q=1"]),
      ("coap://[2001:db8::1]:61616", "coap://[2001:db8::1]:61616", [], []),
      ("coap://h/", "coap://h", [], []),
      ("coap://h/a//b%2Fc/?x=%26&y", "coap://h", ["a", "", "b/c", ""], ["x=&", "y"]),
      ("http://h?", "http://h", [], [""]),
    ])
  func proxyURI(_ uri: String, _ outer: String, _ path: [String], _ query: [String]) throws {
    var pair = try Pair()
    var request = CoAPRequest(.get, path: ["overridden"])
    request.options.append(CoAPOption(.uriHost, string: "overridden"))
    request.options.append(CoAPOption(.proxyUri, string: uri))
    let (protected, _) = try pair.send(request)
    #expect(protected.options.map(\.number) == [.oscore, .proxyUri])
    #expect(protected.options[strings: .proxyUri] == [outer])
    let taken = try pair.take(protected).0
    #expect(taken.uriPath == path && taken.uriQuery == query)
  }

  @Test("What is no absolute URI, or OSCORE already, is not protected")
  func refused() throws {
    var pair = try Pair()
    for uri in ["", "coap:", "//h/a", "coap:///a", "coap://h/%2", "coap://h/%zz", "coap://h/a#b", "://h"] {
      let request = CoAPRequest(code: .get, options: [CoAPOption(.proxyUri, string: uri)])
      #expect(throws: OSCOREError(.oscoreMalformed), "\(uri)") { try pair.send(request) }
    }
    #expect(throws: OSCOREError(.oscoreNested)) {
      try pair.send(CoAPRequest(code: .get, options: [CoAPOption(.oscore)]))
    }
    for code in [CoAPCode.empty, .content, CoAPCode(class: 7, detail: 1)] {
      #expect(throws: OSCOREError(.oscoreMalformed)) { try pair.send(CoAPRequest(code: code)) }
    }
    // Nothing was used up.
    #expect(pair.client.nextSequenceNumber == 0)
  }
}
