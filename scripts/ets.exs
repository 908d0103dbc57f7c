# The other side of `go test ./desk -bench BenchmarkPick`: idle agents in an ETS table, as one writes it in Elixir.
#
# The table is an ordered_set with the key {since, pid}: the first key is who has been idle longest. One pick takes them out
# and puts them back at the end. It reads "VARIANT AGENTS PICKS" a line and answers with nanoseconds per pick.
#
#   own     one process that owns a private table: no lock, no message. The fastest that we know.
#   public  a process for each scheduler, all on one public table: take decides who was first, the loser looks again.
#   trees   the same with write_concurrency, which for an ordered_set is another tree.
#   server  a GenServer owns the table, and a process for each scheduler calls it: what most people write.
defmodule Ets do
  def fill(kind, agents) do
    table = :ets.new(:idle, [:ordered_set | kind])
    # In no order, as on the other side: who is next lies anywhere in memory.
    for n <- Enum.shuffle(1..agents), do: :ets.insert(table, {{n, pid(n)}})
    table
  end

  # A pid without a process: as a key it is as any other.
  defp pid(n), do: :c.pid(0, rem(n, 30_000) + 1_000, div(n, 30_000))

  # The time is a counter here, which is cheaper than asking the clock.
  def pick(_table, _now, 0), do: :ok

  def pick(table, now, left) do
    key = :ets.first(table)

    case :ets.take(table, key) do
      [{{_since, pid}}] ->
        :ets.insert(table, {{now, pid}})
        pick(table, now + 1, left - 1)

      [] ->
        pick(table, now, left)
    end
  end

  def call(_server, 0), do: :ok

  def call(server, left) do
    pid = GenServer.call(server, :take)
    GenServer.cast(server, {:put, pid})
    call(server, left - 1)
  end

  # In a process of its own, so that nothing is left of the run before.
  def alone(work), do: Task.await(Task.async(work), :infinity)

  def each_scheduler(work) do
    1..System.schedulers_online() |> Enum.map(fn _ -> Task.async(work) end) |> Enum.each(&Task.await(&1, :infinity))
  end

  def clock(picks, work) do
    began = System.monotonic_time(:nanosecond)
    work.()
    (System.monotonic_time(:nanosecond) - began) / picks
  end

  def run("own", agents, picks) do
    table = fill([:private], agents)
    clock(picks, fn -> pick(table, agents + 1, picks) end)
  end

  def run("public", agents, picks), do: shared([:public], agents, picks)
  def run("trees", agents, picks), do: shared([:public, write_concurrency: true], agents, picks)

  def run("server", agents, picks) do
    {:ok, server} = GenServer.start_link(Ets.Server, agents)
    each = div(picks, System.schedulers_online())
    clock(picks, fn -> each_scheduler(fn -> call(server, each) end) end)
  end

  defp shared(kind, agents, picks) do
    table = fill(kind, agents)
    each = div(picks, System.schedulers_online())
    clock(picks, fn -> each_scheduler(fn -> pick(table, agents + 1, each) end) end)
  end

  def serve do
    case IO.gets("") do
      :eof ->
        :ok

      line ->
        [variant, agents, picks] = String.split(line)
        IO.puts(alone(fn -> run(variant, String.to_integer(agents), String.to_integer(picks)) end))
        serve()
    end
  end
end

defmodule Ets.Server do
  use GenServer

  def init(agents), do: {:ok, {Ets.fill([:private], agents), agents}}

  def handle_call(:take, _from, {table, now}) do
    [{{_since, pid}}] = :ets.take(table, :ets.first(table))
    {:reply, pid, {table, now}}
  end

  def handle_cast({:put, pid}, {table, now}) do
    :ets.insert(table, {{now + 1, pid}})
    {:noreply, {table, now + 1}}
  end
end

Ets.serve()
