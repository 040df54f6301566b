import CoAP
import Foundation
import TestSupport
import Testing
import Wire

/// The Python with aiocoap in it, which tools/test names.
private let python = ProcessInfo.processInfo.environment["PANGATE_PYTHON"]

/// A process with aiocoap in it, whose datagrams are lines: `IN hex` comes from aiocoap, `OUT hex` goes to it.
private let bridge = """
  import asyncio, socket, sys, threading
  import aiocoap, aiocoap.resource
  from aiocoap import Message, POST, GET

  wire = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
  wire.bind(("::1", 0))
  wire.setblocking(False)
  peer = None
  ended = None

  def arrived():
      global peer
      data, peer = wire.recvfrom(65536)
      print("IN", data.hex(), flush=True)

  def read(loop):
      for line in sys.stdin:
          data = bytes.fromhex(line.split()[1])
          loop.call_soon_threadsafe(wire.sendto, data, peer)
      loop.call_soon_threadsafe(ended.set)

  def body(size):
      return bytes((i * 7 + (i >> 8)) & 255 for i in range(size))

  class Reverse(aiocoap.resource.Resource):
      async def render_post(self, request):
          return Message(code=aiocoap.CHANGED, payload=request.payload[::-1])
      async def render_get(self, request):
          return Message(payload=body(3000), content_format=18)

  async def client():
      context = await aiocoap.Context.create_client_context(transports=["udp6"])
      base = f"coap://[::1]:{wire.getsockname()[1]}"
      for size in [0, 10, 1024, 1025, 5000]:
          response = await context.request(Message(code=POST, uri=base + "/reverse", payload=body(size))).response
          print("RESULT", response.code == aiocoap.CHANGED and response.payload == body(size)[::-1], flush=True)
      response = await context.request(Message(code=GET, uri=base + "/status")).response
      print("RESULT", response.payload == body(3000) and int(response.opt.content_format) == 18, flush=True)
      await context.shutdown()

  async def server():
      global peer
      site = aiocoap.resource.Site()
      site.add_resource(["reverse"], Reverse())
      free = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
      free.bind(("::1", 0))
      peer = free.getsockname()
      free.close()
      context = await aiocoap.Context.create_server_context(site, bind=("::1", peer[1]), transports=["udp6"])
      print("READY", flush=True)
      await ended.wait()
      await context.shutdown()

  async def main():
      global ended
      ended = asyncio.Event()
      loop = asyncio.get_running_loop()
      loop.add_reader(wire, arrived)
      threading.Thread(target=read, args=(loop,), daemon=True).start()
      await asyncio.wait_for({"client": client, "server": server}[sys.argv[1]](), 60)

  asyncio.run(main())
  """

/// aiocoap keeps real time, and so does who talks to it.
private func now() -> Instant { Instant(microseconds: Int64(Date().timeIntervalSince1970 * 1_000_000)) }

/// Runs the bridge with an endpoint at its other end, until it ends or `step` says so.
private func converse(
  _ role: String, _ endpoint: inout Endpoint,
  _ step: (inout Endpoint, [ExchangeOutput<String>], String?) -> Bool
) throws {
  let process = Process()
  process.executableURL = URL(fileURLWithPath: try #require(python))
  process.arguments = ["-c", bridge, role]
  let (stdin, stdout) = (Pipe(), Pipe())
  process.standardInput = stdin
  process.standardOutput = stdout
  try process.run()
  var buffer = Data()
  conversation: while true {
    let chunk = stdout.fileHandleForReading.availableData
    guard !chunk.isEmpty else { break }
    buffer.append(chunk)
    while let end = buffer.firstIndex(of: 10) {
      let line = String(decoding: buffer[..<end], as: UTF8.self)
      buffer.removeSubrange(...end)
      if line.hasPrefix("IN ") {
        let datagram = try bytes(String(line.dropFirst(3)))
        endpoint.receive(datagram.rawSpan, from: "aiocoap", at: now())
      }
      var goesOn = true
      var news: String? = line.hasPrefix("IN ") ? nil : line
      while true {
        let outputs = endpoint.takeOutputs()
        if outputs.isEmpty && news == nil { break }
        for case .transmit(let datagram, _) in outputs {
          try stdin.fileHandleForWriting.write(contentsOf: Data("OUT \(datagram.hex)\n".utf8))
        }
        goesOn = step(&endpoint, outputs, news) && goesOn
        news = nil
      }
      if !goesOn { break conversation }
    }
  }
  try? stdin.fileHandleForWriting.close()
  process.waitUntilExit()
  #expect(process.terminationStatus == 0)
}

private func body(_ size: Int) -> [UInt8] { (0..<size).map { UInt8(truncatingIfNeeded: $0 * 7 + $0 >> 8) } }

@Suite(.enabled(if: python != nil, "PANGATE_PYTHON is not set; tools/test sets it"), .serialized)
struct AiocoapExchangeTests {
  private func endpoint(szx: UInt8) -> Endpoint {
    var blockwise = BlockwiseConfiguration()
    blockwise.preferredSZX = szx
    return Endpoint(blockwise: blockwise, random: SeededGenerator(seed: 5683))
  }

  @Test("aiocoap's requests, small and block-wise, are answered", arguments: [6, 2] as [UInt8])
  func aiocoapAsClient(szx: UInt8) throws {
    var server = endpoint(szx: szx)
    var results: [String] = []
    var delivered: [Int] = []
    try converse("client", &server) { server, outputs, line in
      for (id, request) in outputs.compactMap(\.exchange) {
        delivered.append(request.payload.count)
        let response =
          request.code == .get
          ? CoAPResponse(.content, contentFormat: .coseSign1, payload: body(3000))
          : CoAPResponse(.changed, payload: request.payload.reversed())
        server.respond(to: id, with: response, at: now())
      }
      if let line { results.append(line) }
      return true
    }
    #expect(results == [String](repeating: "RESULT True", count: 6))
    #expect(delivered == [0, 10, 1024, 1025, 5000, 0])
  }

  @Test("Requests, small and block-wise, are answered by aiocoap", arguments: [6, 2] as [UInt8])
  func aiocoapAsServer(szx: UInt8) throws {
    var client = endpoint(szx: szx)
    let requests =
      [0, 10, 1024, 1025, 5000].map { CoAPRequest(.post, path: ["reverse"], payload: body($0)) }
      + [CoAPRequest(.get, path: ["reverse"])]
    var responses: [CoAPResponse] = []
    var failures: [RequestFailure] = []
    try converse("server", &client) { client, outputs, line in
      responses += outputs.compactMap(\.response)
      failures += outputs.compactMap(\.failure)
      if line == "READY" || outputs.contains(where: { $0.response != nil }), responses.count < requests.count {
        _ = client.request(
          requests[responses.count], to: "aiocoap",
          at: now())
      }
      return failures.isEmpty && responses.count < requests.count
    }
    #expect(failures.isEmpty)
    #expect(responses.dropLast().map(\.payload) == requests.dropLast().map { $0.payload.reversed() })
    #expect(responses.last?.payload == body(3000) && responses.last?.contentFormat == .coseSign1)
  }
}
