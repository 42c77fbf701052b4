package NuxtQueue;

# The worker protocol for Perl, core modules only: docs/reference/protocol.md tells what it says.
#
#   use NuxtQueue;
#   NuxtQueue::serve(sub {
#       my ($job, $ctx) = @_;
#       $ctx->call('ctx.state.set', key => 'seen', value => $job->{data});
#       return "hello $job->{data}{name}";
#   });

use strict;
use warnings;
use JSON::PP ();

our $PROTOCOL = 1;
my $json = JSON::PP->new->utf8->ascii->canonical->allow_nonref->allow_bignum;
my ($in, $out, $limit);

# Runs one job after another until the host is gone.
sub serve {
    my ($handler) = @_;
    my $fd = delete $ENV{NUXT_QUEUE_FD};
    if (defined $fd) { open $in, '<&=', $fd or die "No channel on $fd: $!"; open $out, '>&=', $fd or die $! }
    else             { open $in, '<&', \*STDIN or die $!; open $out, '>&', \*STDOUT or die $!; open STDOUT, '>&', \*STDERR }
    $_->autoflush(1) for $out, \*STDOUT, \*STDERR;
    while (my $line = <$in>) {
        my $message = eval { $json->decode($line) };
        if (ref $message ne 'HASH' || !defined $message->{method}) {
            answer(undef, error => { code => -32700, message => 'A line that is no message came.' });
            next;
        }
        my ($id, $method, $params) = @{$message}{qw(id method params)};
        if    ($method eq 'initialize') { initialize($id, $params) }
        elsif ($method eq 'execute')    { execute($handler, $id, $params) }
        elsif ($method eq 'ping')       { answer($id, result => {}) }
        elsif (defined $id) { answer($id, error => { code => -32601, message => "A worker has no method \"$method\"." }) }
    }
}

sub initialize {
    my ($id, $params) = @_;
    return answer($id, error => { code => -32005, message => "This speaks version $PROTOCOL of the protocol." })
      if $params->{protocol} != $PROTOCOL;
    $limit = $params->{maxMessage};
    answer($id, result => { protocol => $PROTOCOL, runtime => { name => 'perl', version => sprintf '%vd', $^V } });
}

sub execute {
    my ($handler, $id, $params) = @_;
    my $ctx = bless { execution => $id, last => 0, job => $params->{job} }, 'NuxtQueue::Context';
    my $value = eval { $handler->($params->{job}, $ctx) };
    my $failed = $@;
    $failed = swallowed($ctx->{left}) if !$failed && defined $ctx->{left};
    return answer($id, result => { value => $value }) if !$failed;
    return answer($id, result => { defer => { suspended => JSON::PP::true } }) if ref $failed eq 'NuxtQueue::Suspended';
    my ($message, %data) = failure($failed);
    answer($id, error => { code => -32000, message => $message, data => \%data });
}

# What something died with: its message, and what else an error of the protocol holds.
sub failure {
    my ($failed) = @_;
    my %data = ref $failed eq 'HASH' ? %$failed : (message => "$failed");
    chomp(my $text = delete $data{message});
    (my $message = $text) =~ s/ at \S+ line \d+\.$//;
    return ($message, name => 'Error', stack => $text, %data);
}

# A handler that returned although it was left at a wait: an `eval` of its own has caught what leaves it.
sub swallowed {
    my ($wait) = @_;
    my $text = "The handler went on after it was left at \"$wait\". An eval around a wait has to die again with a NuxtQueue::Suspended.";
    return { message => $text, name => 'QueueError', code => 'STEP_SWALLOWED', retryable => JSON::PP::false };
}

sub answer {
    my ($id, $member, $content) = @_;
    my $line = $json->encode({ jsonrpc => '2.0', id => $id, $member => $content });
    $line = $json->encode({ jsonrpc => '2.0', id => $id, error => { code => -32002, message => 'The message is too large.' } })
      if defined $limit && length $line >= $limit;
    print {$out} "$line\n";
}

package NuxtQueue::Context;

# Calls a method of the context and waits for what the host answers.
sub call {
    my ($self, $method, %params) = @_;
    my $id = ++$self->{last};
    $self->say($method, $id, %params);
    while (my $line = <$in>) {
        my $message = $json->decode($line);
        if (($message->{method} // '') eq 'cancel') { $self->{cancelled} = 1; next }
        next unless !defined $message->{method} && $message->{id} == $id;
        return $message->{result} unless $message->{error};
        my $error = $message->{error};
        die { message => $error->{message}, %{ $error->{data} // {} } };
    }
    exit 0;
}

# Calls a method without waiting; should it fail, the attempt does.
sub notify { my ($self, $method, %params) = @_; $self->say($method, undef, %params) }

sub say {
    my ($self, $method, $id, %params) = @_;
    my %message = (jsonrpc => '2.0', method => $method, params => { execution => $self->{execution}, %params });
    $message{id} = $id if defined $id;
    print {$out} $json->encode(\%message), "\n";
}

# Runs a function once for all attempts, and answers what it returned, or dies with what it died with, as it is on record.
sub run {
    my ($self, $name, $function) = @_;
    $name = $self->counted($name);
    my $known = $self->call('ctx.step.lookup', name => $name);
    die $known->{error} if $known->{found} && $known->{error};
    return $known->{result} if $known->{found};
    my $result;
    if (!eval { $result = $function->(); 1 }) {
        my $failed = $@;
        die $failed if ref $failed eq 'NuxtQueue::Suspended';
        my ($message, %data) = NuxtQueue::failure($failed);
        die $self->call('ctx.step.fail', name => $name, error => { message => $message, %data }) // $failed;
    }
    return $self->call('ctx.step.record', name => $name, result => $result);
}

# Goes on after so many milliseconds. This and what follows leave the handler by a `die` with a NuxtQueue::Suspended:
# an `eval` around them has to die with it again. The handler is then run from its beginning when it is time.
sub sleep_for { my ($self, $name, $delay) = @_; $self->wait($name, kind => 'sleep', delay => $delay); return }

# Answers the payload of an event, or undef: $ctx->wait_for_event('paid', event => 'payment', key => $id, timeout => 1000).
sub wait_for_event { my ($self, $name, %options) = @_; return $self->wait($name, kind => 'event', %options) }

# Starts another flow; with `wait => 1` answers its result: $ctx->start_flow('invoice', $order, wait => 1).
sub start_flow {
    my ($self, $flow, $input, %options) = @_;
    $options{wait} = $options{wait} ? JSON::PP::true : JSON::PP::false if exists $options{wait};
    return $self->over($flow, $self->call('ctx.flow.start', flow => $flow, input => $input, options => \%options));
}

sub wait {
    my ($self, $name, %wait) = @_;
    return $self->over($name, $self->call('ctx.step.wait', name => $self->counted($name), wait => \%wait));
}

sub over {
    my ($self, $name, $answer) = @_;
    return $answer->{result} if $answer->{over};
    $self->{left} //= $name;
    die bless {}, 'NuxtQueue::Suspended';
}

# A name that is used again counts on: page, page#2, … One that looks as if it were made here counts from #1. A handler
# that has been left, and goes on, asks for nothing more.
sub counted {
    my ($self, $name) = @_;
    die bless {}, 'NuxtQueue::Suspended' if defined $self->{left};
    my $times = ++$self->{used}{$name};
    return $times == 1 && $name !~ /#\d+$/ ? $name : "$name#$times";
}

# Whether the handler was told to stop. Asks the host, since nothing is read while a handler runs.
sub cancelled { my ($self) = @_; return $self->{cancelled} || $self->call('ctx.cancelled') }

# Changes a value by what a function makes of the present one, as often as somebody else is faster.
sub update {
    my ($self, $key, $change) = @_;
    while (1) {
        my $seen = $self->call('ctx.state.read', key => $key);
        my $value = $change->($seen->{value});
        my $swap = $self->call('ctx.state.swap', key => $key, token => $seen->{token}, value => $value);
        return $swap->{value} if $swap->{swapped};
    }
}

1;
